# Backups of the volumes that bear a tag: every day, kept for weeks, and every month, kept for longer. They are
# consistent as after a crash, which is what the embedded store and the files are made for.

data "aws_partition" "current" {}

resource "aws_backup_vault" "this" {
  name        = var.name
  kms_key_arn = var.kms_key_arn
}

resource "aws_backup_plan" "this" {
  name = var.name

  rule {
    rule_name                = "daily"
    target_vault_name        = aws_backup_vault.this.name
    schedule                 = var.daily_schedule
    start_window             = 60
    completion_window        = 360
    enable_continuous_backup = false
    lifecycle {
      delete_after = var.keep_daily_days
    }
  }
  rule {
    rule_name                = "monthly"
    target_vault_name        = aws_backup_vault.this.name
    schedule                 = var.monthly_schedule
    start_window             = 60
    completion_window        = 360
    enable_continuous_backup = false
    lifecycle {
      delete_after = var.keep_monthly_days
    }
  }
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["backup.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "this" {
  name               = "${var.name}-backup"
  assume_role_policy = data.aws_iam_policy_document.trust.json
}

resource "aws_iam_role_policy_attachment" "this" {
  for_each = toset(["AWSBackupServiceRolePolicyForBackup", "AWSBackupServiceRolePolicyForRestores"])

  role       = aws_iam_role.this.name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/service-role/${each.key}"
}

resource "aws_backup_selection" "volumes" {
  name         = "volumes"
  plan_id      = aws_backup_plan.this.id
  iam_role_arn = aws_iam_role.this.arn
  resources    = ["arn:${data.aws_partition.current.partition}:ec2:*:*:volume/*"]

  condition {
    string_equals {
      key   = "aws:ResourceTag/${var.volume_tag.key}"
      value = var.volume_tag.value
    }
  }

  depends_on = [aws_iam_role_policy_attachment.this]
}
