# Says when the month has cost, or is about to cost, what was planned for.

locals {
  notifications = [
    { type = "ACTUAL", percent = 80 },
    { type = "FORECASTED", percent = 100 },
    { type = "ACTUAL", percent = 100 },
  ]
}

resource "aws_budgets_budget" "this" {
  name         = var.name
  budget_type  = "COST"
  limit_amount = tostring(var.monthly_dollars)
  limit_unit   = "USD"
  time_unit    = "MONTHLY"

  # Of what bears the tag, once it is active as a cost allocation tag; otherwise of the whole account.
  dynamic "cost_filter" {
    for_each = var.tag == null ? [] : [var.tag]
    content {
      name   = "TagKeyValue"
      values = [format("user:%s$%s", cost_filter.value.key, cost_filter.value.value)]
    }
  }

  dynamic "notification" {
    for_each = local.notifications
    content {
      notification_type         = notification.value.type
      comparison_operator       = "GREATER_THAN"
      threshold                 = notification.value.percent
      threshold_type            = "PERCENTAGE"
      subscriber_sns_topic_arns = [var.topic_arn]
    }
  }
}
