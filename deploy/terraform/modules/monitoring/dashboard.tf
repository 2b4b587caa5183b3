data "aws_region" "current" {}

locals {
  region = data.aws_region.current.name

  # What DynamoDB does not tell CloudWatch: the servers ask it (DescribeTable) and write it to their log, as they do with
  # their own latency and errors. The names are those of /metrics.
  service_metrics = {
    items    = "colloquy_dynamodb_table_items"
    bytes    = "colloquy_dynamodb_table_bytes"
    requests = "colloquy_http_requests_total"
    seconds  = "colloquy_http_request_seconds"
  }

  graphs = concat(
    [for kind in ["Read", "Write"] : {
      title   = "${kind} capacity consumed"
      stat    = "Sum"
      metrics = [for key, dimensions in local.throttled : concat(["AWS/DynamoDB", "Consumed${kind}CapacityUnits"], flatten([for name, value in dimensions : [name, value]]), [{ label = key }])]
    }],
    [{
      title = "Throttled requests"
      stat  = "Sum"
      metrics = concat(
        [for pair in setproduct(keys(local.throttled), ["Read", "Write"]) : concat(["AWS/DynamoDB", "${pair[1]}ThrottleEvents"], flatten([for name, value in local.throttled[pair[0]] : [name, value]]), [{ label = "${pair[0]} ${lower(pair[1])}s" }])],
        [for pair in setproduct(keys(var.tables), local.operations) : ["AWS/DynamoDB", "ThrottledRequests", "TableName", var.tables[pair[0]].name, "Operation", pair[1], { label = "${pair[0]} ${pair[1]}" }]],
      )
    }],
    [for stat in ["Average", "Maximum"] : {
      title   = "Latency inside DynamoDB, milliseconds, ${lower(stat)}"
      stat    = stat
      metrics = [for pair in setproduct(keys(var.tables), local.operations) : ["AWS/DynamoDB", "SuccessfulRequestLatency", "TableName", var.tables[pair[0]].name, "Operation", pair[1], { label = "${pair[0]} ${pair[1]}" }]]
    }],
    [{
      title = "Errors of DynamoDB"
      stat  = "Sum"
      metrics = concat(
        [for pair in setproduct(keys(var.tables), local.operations) : ["AWS/DynamoDB", "SystemErrors", "TableName", var.tables[pair[0]].name, "Operation", pair[1], { label = "${pair[0]} ${pair[1]}" }]],
        [["AWS/DynamoDB", "UserErrors", { label = "refused (whole account)" }]],
      )
    }],
    [{
      title   = "Removed by time to live"
      stat    = "Sum"
      metrics = [for key, table in var.tables : ["AWS/DynamoDB", "TimeToLiveDeletedItemCount", "TableName", table.name, { label = key }]]
    }],
    [for graph in [
      { title = "Item count", metric = local.service_metrics.items, stat = "Maximum" },
      { title = "Storage size, bytes", metric = local.service_metrics.bytes, stat = "Maximum" },
      { title = "Requests to the servers, by outcome", metric = local.service_metrics.requests, stat = "Sum" },
      { title = "Latency of the servers, seconds, p99", metric = local.service_metrics.seconds, stat = "p99" },
      ] : {
      title   = graph.title
      stat    = graph.stat
      metrics = [[{ expression = "SEARCH('Namespace=\"${var.service_metrics_namespace}\" MetricName=\"${graph.metric}\"', '${graph.stat}', 60)", id = "found", label = "" }]]
    }],
  )

  columns = 2
  width   = 24 / local.columns
  height  = 6
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = var.name
  dashboard_body = jsonencode({
    widgets = concat(
      [for number, graph in local.graphs : {
        type   = "metric"
        x      = (number % local.columns) * local.width
        y      = floor(number / local.columns) * local.height
        width  = local.width
        height = local.height
        properties = {
          title   = graph.title
          region  = local.region
          view    = "timeSeries"
          stacked = false
          period  = 60
          stat    = graph.stat
          metrics = graph.metrics
        }
      }],
      [{
        type       = "text"
        x          = 0
        y          = ceil(length(local.graphs) / local.columns) * local.height
        width      = 24
        height     = 2
        properties = { markdown = "Item count, storage size and what the servers themselves measure come from their log, where it has metrics (Embedded Metric Format). Alarms: `${var.name}-…`." }
      }],
    )
  })
}
