output "conversations" {
  description = "Name, ARN and indexes of the table of conversations."
  value = {
    name    = local.made["conversations"].name
    arn     = local.made["conversations"].arn
    indexes = keys(local.conversation_indexes)
  }
}

output "messages" {
  description = "Name, ARN and indexes of the table of messages."
  value = {
    name    = local.made["messages"].name
    arn     = local.made["messages"].arn
    indexes = keys(local.message_indexes)
  }
}

output "keys" {
  description = "Name and ARN of the table of keys; null where there is none."
  value = var.keys_table == null ? null : {
    name = aws_dynamodb_table.keys[0].name
    arn  = aws_dynamodb_table.keys[0].arn
  }
}
