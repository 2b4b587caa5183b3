output "serve_policy_arn" {
  value = aws_iam_policy.serve.arn
}

output "operate_policy_arn" {
  value = aws_iam_policy.operate.arn
}

output "restore_policy_arn" {
  value = aws_iam_policy.restore.arn
}

output "read_one_user_policy_arn" {
  value = one(aws_iam_policy.read_one_user[*].arn)
}
