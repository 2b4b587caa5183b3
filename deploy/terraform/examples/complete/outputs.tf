output "name_servers" {
  description = "Where the domain must be delegated to, if the zone was made here."
  value       = try(aws_route53_zone.this[0].name_servers, [])
}

output "cluster_name" {
  value = module.cluster.name
}

output "image_repositories" {
  description = "Where images are pushed to."
  value       = { for name, registry in module.registry : name => registry.repository_url }
}

output "load_balancer_controller_role_arn" {
  value = module.load_balancer_controller.role_arn
}

output "vpc_id" {
  value = module.network.vpc_id
}

output "operate_policy_arn" {
  value = module.iam.operate_policy_arn
}

output "restore_policy_arn" {
  description = "For who restores the tables (colloquy restore --prefix restored-)."
  value       = module.iam.restore_policy_arn
}

output "dashboard_name" {
  value = module.monitoring.dashboard_name
}

output "log_group_name" {
  value = module.container_logs.log_group_name
}

output "backup_vault_name" {
  value = module.volume_backup.vault_name
}

output "helm_values" {
  description = "What the chart takes from here: terraform output -raw helm_values > from-terraform.yaml"
  value = yamlencode({
    store = "dynamodb"
    image = { repository = module.registry["server"].repository_url }
    aws = {
      region   = data.aws_region.current.name
      identity = var.identity == "irsa" ? "irsa" : "podIdentity"
      roleArn  = module.service_role.role_arn
    }
    serviceAccount = { create = true, name = var.name }
    dynamodb = {
      conversationsTable = module.tables.conversations.name
      messagesTable      = module.tables.messages.name
      keysTable          = try(module.tables.keys.name, "keys")
      updatedIndex       = var.updated_index
    }
    encryption = {
      mode     = var.text_encryption ? "kms" : "off"
      kmsKeyId = var.text_encryption ? module.master_key[0].arn : ""
    }
    ebs       = { kmsKeyId = module.platform_key.arn }
    snapshots = { image = { repository = module.registry["snapshots"].repository_url } }
    ingress = {
      enabled        = true
      controller     = "alb"
      host           = var.domain
      certificateArn = module.certificate.arn
      annotations    = { "alb.ingress.kubernetes.io/load-balancer-name" = var.name }
    }
  })
}
