output "conversations_table" {
  value = module.tables.conversations.name
}

output "messages_table" {
  value = module.tables.messages.name
}

output "keys_table" {
  value = try(module.tables.keys.name, null)
}

output "serve_policy_arn" {
  description = "For the role that the servers have."
  value       = module.iam.serve_policy_arn
}

output "operate_policy_arn" {
  description = "For who checks the tables, migrates, or rotates keys."
  value       = module.iam.operate_policy_arn
}

output "restore_policy_arn" {
  description = "For who restores the tables (colloquy restore --prefix restored-)."
  value       = module.iam.restore_policy_arn
}

output "kms_key_arn" {
  value = module.key.arn
}

output "dashboard_name" {
  value = module.monitoring.dashboard_name
}

output "serve_flags" {
  description = "What colloquy serve is told."
  value       = "--store dynamodb --dynamodb-conversations-table ${module.tables.conversations.name} --dynamodb-messages-table ${module.tables.messages.name}"
}
