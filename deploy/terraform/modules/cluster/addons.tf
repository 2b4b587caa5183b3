# Versions: the cluster's default ones, or those of `addon_versions`.

locals {
  # Without their network nodes do not become ready.
  before_nodes = toset(["vpc-cni", "kube-proxy", "eks-pod-identity-agent"])
  # coredns; metrics for the HorizontalPodAutoscaler; snapshots of volumes.
  on_nodes = toset(["coredns", "metrics-server", "snapshot-controller"])
}

resource "aws_eks_addon" "before_nodes" {
  for_each = local.before_nodes

  cluster_name                = aws_eks_cluster.this.name
  addon_name                  = each.key
  addon_version               = lookup(var.addon_versions, each.key, null)
  resolve_conflicts_on_create = "OVERWRITE"
  resolve_conflicts_on_update = "PRESERVE"
  # The chart's NetworkPolicy holds only where something enforces it.
  configuration_values = each.key == "vpc-cni" ? jsonencode({ enableNetworkPolicy = "true" }) : null
}

resource "aws_eks_addon" "on_nodes" {
  for_each = local.on_nodes

  cluster_name                = aws_eks_cluster.this.name
  addon_name                  = each.key
  addon_version               = lookup(var.addon_versions, each.key, null)
  resolve_conflicts_on_create = "OVERWRITE"
  resolve_conflicts_on_update = "PRESERVE"

  depends_on = [aws_eks_node_group.this]
}

module "ebs_csi_role" {
  source = "../irsa"

  name              = "${var.name}-ebs-csi"
  cluster_name      = aws_eks_cluster.this.name
  oidc_provider_arn = aws_iam_openid_connect_provider.this.arn
  oidc_issuer       = local.issuer
  namespace         = "kube-system"
  service_account   = "ebs-csi-controller-sa"
  policy_arns = {
    driver = "arn:${data.aws_partition.current.partition}:iam::aws:policy/service-role/AmazonEBSCSIDriverPolicy"
    key    = aws_iam_policy.volume_key.arn
  }
}

# Volumes are encrypted with a key of your own; a grant lets the machine that mounts one use it.
data "aws_iam_policy_document" "volume_key" {
  statement {
    sid       = "EncryptVolumes"
    actions   = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
    resources = [var.kms_key_arn]
  }
  statement {
    sid       = "LendTheKeyToTheMachine"
    actions   = ["kms:CreateGrant", "kms:ListGrants", "kms:RevokeGrant"]
    resources = [var.kms_key_arn]
    condition {
      test     = "Bool"
      variable = "kms:GrantIsForAWSResource"
      values   = ["true"]
    }
  }
}

resource "aws_iam_policy" "volume_key" {
  name   = "${var.name}-ebs-csi-key"
  policy = data.aws_iam_policy_document.volume_key.json
}

resource "aws_eks_addon" "ebs_csi" {
  cluster_name                = aws_eks_cluster.this.name
  addon_name                  = "aws-ebs-csi-driver"
  addon_version               = lookup(var.addon_versions, "aws-ebs-csi-driver", null)
  service_account_role_arn    = module.ebs_csi_role.role_arn
  resolve_conflicts_on_create = "OVERWRITE"
  resolve_conflicts_on_update = "PRESERVE"
  # By this tag the backup plan finds the volumes.
  configuration_values = jsonencode({ controller = { extraVolumeTags = { (var.volume_tag.key) = var.volume_tag.value } } })

  depends_on = [aws_eks_node_group.this]
}
