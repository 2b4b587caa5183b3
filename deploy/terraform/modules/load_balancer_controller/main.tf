# The role of the AWS Load Balancer Controller, which makes a load balancer for the chart's Ingress. It may change only
# what it has made for this cluster, which it tags, and let its load balancers into the nodes' security group.
# WAF and Shield are left out: install it with enableShield, enableWaf and enableWafv2 off.

data "aws_partition" "current" {}

locals {
  elb      = "arn:${data.aws_partition.current.partition}:elasticloadbalancing:*:*"
  balancer = [for kind in ["app", "net"] : "${local.elb}:loadbalancer/${kind}/*"]
  listener = flatten([for kind in ["app", "net"] : ["${local.elb}:listener/${kind}/*", "${local.elb}:listener-rule/${kind}/*"]])
  group    = "${local.elb}:targetgroup/*/*"
  ec2      = "arn:${data.aws_partition.current.partition}:ec2:*:*"
  cluster  = "elbv2.k8s.aws/cluster"
}

data "aws_iam_policy_document" "this" {
  statement {
    sid = "Look"
    actions = [
      "acm:DescribeCertificate", "acm:ListCertificates", "ec2:DescribeAccountAttributes", "ec2:DescribeAddresses",
      "ec2:DescribeAvailabilityZones", "ec2:DescribeInstances", "ec2:DescribeInternetGateways",
      "ec2:DescribeNetworkInterfaces", "ec2:DescribeRouteTables", "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets",
      "ec2:DescribeTags", "ec2:DescribeVpcPeeringConnections", "ec2:DescribeVpcs", "ec2:GetSecurityGroupsForVpc",
      "elasticloadbalancing:Describe*",
    ]
    resources = ["*"]
  }
  statement {
    sid       = "RoleOfLoadBalancing"
    actions   = ["iam:CreateServiceLinkedRole"]
    resources = ["*"]
    condition {
      test     = "StringEquals"
      variable = "iam:AWSServiceName"
      values   = ["elasticloadbalancing.amazonaws.com"]
    }
  }

  statement {
    sid       = "MakeSecurityGroups"
    actions   = ["ec2:CreateSecurityGroup"]
    resources = ["${local.ec2}:vpc/${var.vpc_id}"]
  }
  statement {
    sid       = "MakeTaggedSecurityGroups"
    actions   = ["ec2:CreateSecurityGroup", "ec2:CreateTags"]
    resources = ["${local.ec2}:security-group/*"]
    condition {
      test     = "StringEquals"
      variable = "aws:RequestTag/${local.cluster}"
      values   = [var.cluster_name]
    }
  }
  statement {
    sid = "ChangeOwnSecurityGroups"
    actions = [
      "ec2:AuthorizeSecurityGroupIngress", "ec2:CreateTags", "ec2:DeleteSecurityGroup", "ec2:DeleteTags",
      "ec2:RevokeSecurityGroupIngress",
    ]
    resources = ["${local.ec2}:security-group/*"]
    condition {
      test     = "StringEquals"
      variable = "aws:ResourceTag/${local.cluster}"
      values   = [var.cluster_name]
    }
  }
  statement {
    sid       = "LetBalancersIntoTheNodes"
    actions   = ["ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress"]
    resources = ["${local.ec2}:security-group/*"]
    condition {
      test     = "StringEquals"
      variable = "aws:ResourceTag/kubernetes.io/cluster/${var.cluster_name}"
      values   = ["owned"]
    }
  }

  statement {
    sid       = "MakeTaggedBalancers"
    actions   = ["elasticloadbalancing:CreateLoadBalancer", "elasticloadbalancing:CreateTargetGroup", "elasticloadbalancing:AddTags"]
    resources = concat(local.balancer, [local.group])
    condition {
      test     = "StringEquals"
      variable = "aws:RequestTag/${local.cluster}"
      values   = [var.cluster_name]
    }
  }
  statement {
    sid = "ChangeOwnBalancers"
    actions = [
      "elasticloadbalancing:AddTags", "elasticloadbalancing:CreateListener", "elasticloadbalancing:DeleteLoadBalancer",
      "elasticloadbalancing:DeleteTargetGroup", "elasticloadbalancing:DeregisterTargets",
      "elasticloadbalancing:ModifyLoadBalancerAttributes", "elasticloadbalancing:ModifyTargetGroup",
      "elasticloadbalancing:ModifyTargetGroupAttributes", "elasticloadbalancing:RegisterTargets",
      "elasticloadbalancing:RemoveTags", "elasticloadbalancing:SetIpAddressType",
      "elasticloadbalancing:SetSecurityGroups", "elasticloadbalancing:SetSubnets",
    ]
    resources = concat(local.balancer, [local.group])
    condition {
      test     = "StringEquals"
      variable = "aws:ResourceTag/${local.cluster}"
      values   = [var.cluster_name]
    }
  }
  statement {
    sid       = "TagNewListeners"
    actions   = ["elasticloadbalancing:AddTags"]
    resources = local.listener
    condition {
      test     = "StringEquals"
      variable = "aws:RequestTag/${local.cluster}"
      values   = [var.cluster_name]
    }
  }
  statement {
    sid = "ChangeOwnListeners"
    actions = [
      "elasticloadbalancing:AddListenerCertificates", "elasticloadbalancing:AddTags", "elasticloadbalancing:CreateRule",
      "elasticloadbalancing:DeleteListener", "elasticloadbalancing:DeleteRule",
      "elasticloadbalancing:ModifyListener", "elasticloadbalancing:ModifyListenerAttributes",
      "elasticloadbalancing:ModifyRule", "elasticloadbalancing:RemoveListenerCertificates",
      "elasticloadbalancing:RemoveTags", "elasticloadbalancing:SetRulePriorities",
    ]
    resources = local.listener
    condition {
      test     = "StringEquals"
      variable = "aws:ResourceTag/${local.cluster}"
      values   = [var.cluster_name]
    }
  }
}

resource "aws_iam_policy" "this" {
  name   = "${var.cluster_name}-load-balancer-controller"
  policy = data.aws_iam_policy_document.this.json
}

module "role" {
  source = "../irsa"

  name              = "${var.cluster_name}-load-balancer-controller"
  cluster_name      = var.cluster_name
  oidc_provider_arn = var.oidc_provider_arn
  oidc_issuer       = var.oidc_issuer
  namespace         = "kube-system"
  service_account   = "aws-load-balancer-controller"
  policy_arns       = { controller = aws_iam_policy.this.arn }
}
