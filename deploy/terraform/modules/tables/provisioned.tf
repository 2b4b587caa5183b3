# The same tables, billed by provisioned units that follow the load. A resource of their own because Terraform
# must not set back what autoscaling has set, and what it ignores cannot depend on a variable. For the same reason it
# does not change their indexes: `colloquy tables create --updated-index` adds one.
# A change of `billing` of tables that are there: deploy/terraform/README.md.

resource "aws_dynamodb_table" "provisioned" {
  for_each = local.provisioned

  name                        = "${var.name_prefix}${each.key}"
  billing_mode                = "PROVISIONED"
  read_capacity               = var.capacity.read.min
  write_capacity              = var.capacity.write.min
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
  dynamic "global_secondary_index" {
    for_each = each.value.indexes
    content {
      name            = global_secondary_index.key
      hash_key        = each.value.hash_key
      range_key       = global_secondary_index.value.range_key
      projection_type = "KEYS_ONLY"
      read_capacity   = var.capacity.read.min
      write_capacity  = var.capacity.write.min
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

  lifecycle {
    ignore_changes = [read_capacity, write_capacity, global_secondary_index]
  }
}

locals {
  # An index that is throttled throttles its table, so each has units of its own that follow.
  scaled = merge(flatten([
    for name, table in local.provisioned : concat(
      [for kind in ["read", "write"] : { "${name}/${kind}" = {
        resource  = "table/${aws_dynamodb_table.provisioned[name].name}"
        dimension = "dynamodb:table:${kind == "read" ? "Read" : "Write"}CapacityUnits"
        kind      = kind
      } }],
      [for pair in setproduct(keys(table.indexes), ["read", "write"]) : { "${name}/${pair[0]}/${pair[1]}" = {
        resource  = "table/${aws_dynamodb_table.provisioned[name].name}/index/${pair[0]}"
        dimension = "dynamodb:index:${pair[1] == "read" ? "Read" : "Write"}CapacityUnits"
        kind      = pair[1]
      } }],
    )
  ])...)
}

resource "aws_appautoscaling_target" "this" {
  for_each = local.scaled

  service_namespace  = "dynamodb"
  resource_id        = each.value.resource
  scalable_dimension = each.value.dimension
  min_capacity       = var.capacity[each.value.kind].min
  max_capacity       = var.capacity[each.value.kind].max
}

resource "aws_appautoscaling_policy" "this" {
  for_each = local.scaled

  name               = "${each.value.kind}-utilization"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.this[each.key].service_namespace
  resource_id        = aws_appautoscaling_target.this[each.key].resource_id
  scalable_dimension = aws_appautoscaling_target.this[each.key].scalable_dimension

  target_tracking_scaling_policy_configuration {
    predefined_metric_specification {
      predefined_metric_type = each.value.kind == "read" ? "DynamoDBReadCapacityUtilization" : "DynamoDBWriteCapacityUtilization"
    }
    target_value = var.capacity.target_percent
  }
}
