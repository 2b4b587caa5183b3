output "topic_arn" {
  value = aws_sns_topic_policy.this.arn
}
