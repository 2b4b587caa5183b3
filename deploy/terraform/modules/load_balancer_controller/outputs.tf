output "role_arn" {
  value = module.role.role_arn
}
