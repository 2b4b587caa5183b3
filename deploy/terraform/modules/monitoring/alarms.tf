# Each alarm's description says what to look at first; docs/deploy-terraform.md has a paragraph for each.

locals {
  operations = ["GetItem", "Query", "PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "Scan"]

  # Tables and their indexes, as CloudWatch names them.
  throttled = merge(flatten([for key, table in var.tables : concat(
    [{ (key) = { TableName = table.name } }],
    [for index in table.indexes : { "${key}-${index}" = { TableName = table.name, GlobalSecondaryIndexName = index } }],
  )])...)
}

resource "aws_cloudwatch_metric_alarm" "throttled" {
  for_each = { for pair in setproduct(keys(local.throttled), ["Read", "Write"]) : "${pair[0]}-${lower(pair[1])}" => {
    dimensions = local.throttled[pair[0]]
    kind       = pair[1]
  } }

  alarm_name          = "${var.name}-${each.key}-throttled"
  alarm_description   = "DynamoDB refuses ${lower(each.value.kind)}s that come faster than it lets them. Servers try again, then answer 503. One conversation or user may be hot, or the load has doubled within half an hour."
  namespace           = "AWS/DynamoDB"
  metric_name         = "${each.value.kind}ThrottleEvents"
  dimensions          = each.value.dimensions
  statistic           = "Sum"
  period              = 60
  evaluation_periods  = 5
  datapoints_to_alarm = 3
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions
}

# SystemErrors has no sum over operations, so it is made here.
resource "aws_cloudwatch_metric_alarm" "system_errors" {
  for_each = var.tables

  alarm_name          = "${var.name}-${each.key}-system-errors"
  alarm_description   = "DynamoDB itself fails (5xx). Servers try again, then answer 503. Look at the AWS Health Dashboard."
  evaluation_periods  = 5
  datapoints_to_alarm = 3
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions

  metric_query {
    id          = "errors"
    expression  = join("+", [for operation in local.operations : "FILL(${lower(operation)},0)"])
    label       = "system errors"
    return_data = true
  }
  dynamic "metric_query" {
    for_each = local.operations
    content {
      id = lower(metric_query.value)
      metric {
        namespace   = "AWS/DynamoDB"
        metric_name = "SystemErrors"
        dimensions  = { TableName = each.value.name, Operation = metric_query.value }
        period      = 60
        stat        = "Sum"
      }
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "latency" {
  for_each = { for pair in setproduct(keys(var.tables), ["GetItem", "Query", "PutItem", "UpdateItem"]) : "${pair[0]}-${lower(pair[1])}" => {
    table     = var.tables[pair[0]].name
    operation = pair[1]
  } }

  alarm_name          = "${var.name}-${each.key}-latency"
  alarm_description   = "${each.value.operation} of the table takes longer inside DynamoDB than it should. Large items and long queries do that too."
  namespace           = "AWS/DynamoDB"
  metric_name         = "SuccessfulRequestLatency"
  dimensions          = { TableName = each.value.table, Operation = each.value.operation }
  statistic           = "Average"
  period              = 60
  evaluation_periods  = 10
  datapoints_to_alarm = 8
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.latency_ms
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions
}

resource "aws_cloudwatch_metric_alarm" "consumed" {
  for_each = { for pair in setproduct(keys(var.tables), ["Read", "Write"]) : "${pair[0]}-${lower(pair[1])}" => {
    table = var.tables[pair[0]].name
    kind  = pair[1]
  } }

  alarm_name          = "${var.name}-${each.key}-units"
  alarm_description   = "More ${lower(each.value.kind)} units in an hour than planned for: it costs money. Look at which requests grew, and at rate limits."
  namespace           = "AWS/DynamoDB"
  metric_name         = "Consumed${each.value.kind}CapacityUnits"
  dimensions          = { TableName = each.value.table }
  statistic           = "Sum"
  period              = 3600
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.kind == "Read" ? var.hourly_read_units : var.hourly_write_units
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions
}

resource "aws_cloudwatch_metric_alarm" "backup_failed" {
  count = var.backup_vault == null ? 0 : 1

  alarm_name          = "${var.name}-backup-failed"
  alarm_description   = "A backup of a volume has failed. AWS Backup, Jobs, says why."
  namespace           = "AWS/Backup"
  metric_name         = "NumberOfBackupJobsFailed"
  dimensions          = { BackupVaultName = var.backup_vault }
  statistic           = "Sum"
  period              = 3600
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions
}
