# A key of your own in KMS. Without `services` its policy is the default one: the account's IAM policies
# decide who may use it, and no call of another service is needed to make it.

data "aws_partition" "current" {}
data "aws_region" "current" {}

resource "aws_kms_key" "this" {
  description             = var.description
  enable_key_rotation     = true
  deletion_window_in_days = var.deletion_window_days
  policy                  = length(var.services) == 0 ? null : data.aws_iam_policy_document.with_services[0].json
}

resource "aws_kms_alias" "this" {
  name          = "alias/${var.name}"
  target_key_id = aws_kms_key.this.key_id
}

data "aws_iam_policy_document" "with_services" {
  count = length(var.services) == 0 ? 0 : 1

  statement {
    sid       = "AccountDecides"
    actions   = ["kms:*"]
    resources = ["*"]
    principals {
      type        = "AWS"
      identifiers = ["arn:${data.aws_partition.current.partition}:iam::${var.account_id}:root"]
    }
  }

  # CloudWatch alarms, budgets and backups write to an encrypted topic as themselves, not as a role of
  # the account; logs encrypt their groups so.
  statement {
    sid       = "ServicesOfThisAccount"
    actions   = ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*", "kms:DescribeKey"]
    resources = ["*"]
    principals {
      type        = "Service"
      identifiers = [for service in var.services : service == "logs" ? "logs.${data.aws_region.current.name}.amazonaws.com" : "${service}.amazonaws.com"]
    }
    # The log service says which group it means, and no account.
    condition {
      test     = "StringEqualsIfExists"
      variable = "aws:SourceAccount"
      values   = [var.account_id]
    }
    condition {
      test     = "ArnLikeIfExists"
      variable = "kms:EncryptionContext:aws:logs:arn"
      values   = ["arn:${data.aws_partition.current.partition}:logs:*:${var.account_id}:*"]
    }
  }
}
