# The tables with their key, the policies for who uses them, a dashboard and alarms: for servers that run anywhere. It
# applies without a variable, and uses DynamoDB, KMS, IAM and CloudWatch alone.

provider "aws" {
  region = var.region

  default_tags {
    tags = { project = var.name }
  }
}

module "key" {
  source = "../../modules/key"

  name        = "${var.name}-tables"
  description = "Encrypts the tables of ${var.name}."
}

module "tables" {
  source = "../../modules/tables"

  name_prefix         = coalesce(var.tables_prefix, "${var.name}-")
  kms_key_arn         = module.key.arn
  billing             = var.billing
  capacity            = var.capacity
  secondary_indexes   = var.secondary_indexes
  updated_index       = var.updated_index
  keys_table          = var.keys_table ? "${var.name}-keys" : null
  deletion_protection = var.deletion_protection
}

module "iam" {
  source = "../../modules/iam"

  name          = var.name
  conversations = module.tables.conversations
  messages      = module.tables.messages
  keys          = module.tables.keys
  kms_key_arn   = module.key.arn
  updated_index = var.updated_index
}

module "monitoring" {
  source = "../../modules/monitoring"

  name          = var.name
  tables        = { conversations = module.tables.conversations, messages = module.tables.messages }
  alarm_actions = var.alarm_actions
}
