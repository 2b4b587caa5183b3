output "dashboard_name" {
  value = aws_cloudwatch_dashboard.this.dashboard_name
}

output "alarm_names" {
  value = sort(concat(
    [for alarm in aws_cloudwatch_metric_alarm.throttled : alarm.alarm_name],
    [for alarm in aws_cloudwatch_metric_alarm.system_errors : alarm.alarm_name],
    [for alarm in aws_cloudwatch_metric_alarm.latency : alarm.alarm_name],
    [for alarm in aws_cloudwatch_metric_alarm.consumed : alarm.alarm_name],
    [for alarm in aws_cloudwatch_metric_alarm.backup_failed : alarm.alarm_name],
  ))
}
