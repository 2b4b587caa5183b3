# The tables of Colloquy: keys, types and indexes are those that the server's own `colloquy tables create`
# makes, and tests hold the two equal.

locals {
  conversation_indexes = merge(
    var.secondary_indexes ? { UserCreatedIndex = { range_key = "created_at" } } : {},
    var.updated_index ? { UserUpdatedIndex = { range_key = "updated_at" } } : {},
  )
  message_indexes = var.secondary_indexes ? { ConversationTimeIndex = { range_key = "timestamp" } } : {}

  tables = {
    conversations = { hash_key = "user_id", range_key = "conversation_id", indexes = local.conversation_indexes }
    messages      = { hash_key = "conversation_id", range_key = "message_id", indexes = local.message_indexes }
  }
  on_demand   = { for name, table in local.tables : name => table if var.billing == "on_demand" }
  provisioned = { for name, table in local.tables : name => table if var.billing == "provisioned" }
  made        = merge(aws_dynamodb_table.on_demand, aws_dynamodb_table.provisioned)
}

resource "aws_dynamodb_table" "on_demand" {
  for_each = local.on_demand

  name                        = "${var.name_prefix}${each.key}"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = each.value.hash_key
  range_key                   = each.value.range_key
  deletion_protection_enabled = var.deletion_protection

  attribute {
    name = each.value.hash_key
    type = "S"
  }
  attribute {
    name = each.value.range_key
    type = "S"
  }
  dynamic "attribute" {
    for_each = each.value.indexes
    content {
      name = attribute.value.range_key
      type = "N"
    }
  }

  # Of keys only: whoever needs more reads the table. With every attribute they would double the cost of a write.
  dynamic "global_secondary_index" {
    for_each = each.value.indexes
    content {
      name            = global_secondary_index.key
      hash_key        = each.value.hash_key
      range_key       = global_secondary_index.value.range_key
      projection_type = "KEYS_ONLY"
    }
  }

  ttl {
    attribute_name = "ttl"
    enabled        = true
  }
  point_in_time_recovery {
    enabled                 = true
    recovery_period_in_days = var.recovery_days
  }
  server_side_encryption {
    enabled     = true
    kms_key_arn = var.kms_key_arn
  }
}

# The keyring of --encryption. It is not part of backups: a copy would bring the keys of erased users back.
resource "aws_dynamodb_table" "keys" {
  count = var.keys_table == null ? 0 : 1

  name                        = var.keys_table
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "name"
  deletion_protection_enabled = var.deletion_protection

  attribute {
    name = "name"
    type = "S"
  }
  point_in_time_recovery {
    enabled = false
  }
  server_side_encryption {
    enabled     = true
    kms_key_arn = var.kms_key_arn
  }
}
