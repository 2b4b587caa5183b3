# Takes the servers' log to CloudWatch, by the add-on that brings Fluent Bit. Each line goes as the server wrote it, so that
# CloudWatch finds metrics in it (Embedded Metric Format); by default the add-on would put it inside a record of its own.

data "aws_partition" "current" {}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/colloquy/${var.name}"
  retention_in_days = var.retention_days
  kms_key_id        = var.kms_key_arn
}

module "role" {
  source = "../irsa"

  name              = "${var.cluster_name}-logs"
  cluster_name      = var.cluster_name
  oidc_provider_arn = var.oidc_provider_arn
  oidc_issuer       = var.oidc_issuer
  namespace         = "amazon-cloudwatch"
  service_account   = "cloudwatch-agent"
  policy_arns       = { agent = "arn:${data.aws_partition.current.partition}:iam::aws:policy/CloudWatchAgentServerPolicy" }
}

resource "aws_eks_addon" "this" {
  cluster_name                = var.cluster_name
  addon_name                  = "amazon-cloudwatch-observability"
  addon_version               = var.addon_version
  service_account_role_arn    = module.role.role_arn
  resolve_conflicts_on_create = "OVERWRITE"
  resolve_conflicts_on_update = "PRESERVE"
  configuration_values = jsonencode({
    containerLogs = {
      enabled = true
      fluentBit = { config = { extraFiles = {
        "application-log.conf" = templatefile("${path.module}/application-log.conf", {
          namespace = var.namespace
          log_group = aws_cloudwatch_log_group.this.name
        })
        "dataplane-log.conf" = ""
        "host-log.conf"      = ""
      } } }
    }
  })
}
