# Everything that the service needs in an empty account with a domain name. docs/deploy-terraform.md goes through it.

provider "aws" {
  region = var.region

  default_tags {
    tags = { project = var.name }
  }
}

data "aws_region" "current" {}

locals {
  zones      = coalesce(var.availability_zones, [for letter in ["a", "b", "c"] : "${data.aws_region.current.name}${letter}"])
  account_id = module.network.account_id
  volume_tag = { key = "colloquy-backup", value = var.name }
}

module "network" {
  source = "../../modules/network"

  name               = var.name
  availability_zones = local.zones
  nat_per_zone       = var.nat_per_zone
}

# What is there whether or not anyone writes: volumes, backups, secrets of the cluster, images, logs, alerts.
module "platform_key" {
  source = "../../modules/key"

  name        = "${var.name}-platform"
  description = "Encrypts volumes, backups, images, logs and alerts of ${var.name}."
  services    = ["backup", "budgets", "cloudwatch", "logs"]
  account_id  = local.account_id
}

module "tables_key" {
  source = "../../modules/key"

  name        = "${var.name}-tables"
  description = "Encrypts the tables of ${var.name}."
}

# The master key of --encryption kms: apart from the tables' one, so that reading tables is not reading texts.
module "master_key" {
  source = "../../modules/key"
  count  = var.text_encryption ? 1 : 0

  name        = "${var.name}-master"
  description = "Wraps the keys of the users of ${var.name}."
}

module "tables" {
  source = "../../modules/tables"

  name_prefix         = coalesce(var.tables_prefix, "${var.name}-")
  kms_key_arn         = module.tables_key.arn
  billing             = var.billing
  capacity            = var.capacity
  secondary_indexes   = var.secondary_indexes
  updated_index       = var.updated_index
  keys_table          = var.text_encryption ? "${var.name}-keys" : null
  deletion_protection = var.deletion_protection
}

module "iam" {
  source = "../../modules/iam"

  name          = var.name
  conversations = module.tables.conversations
  messages      = module.tables.messages
  keys          = module.tables.keys
  kms_key_arn   = module.tables_key.arn
  master_key    = one(module.master_key)
  updated_index = var.updated_index
}

module "cluster" {
  source = "../../modules/cluster"

  name               = var.name
  kubernetes_version = var.kubernetes_version
  subnet_ids         = module.network.private_subnet_ids
  kms_key_arn        = module.platform_key.arn
  api_access_cidrs   = var.api_access_cidrs
  architecture       = var.architecture
  instance_types     = var.instance_types
  nodes              = var.nodes
  addon_versions     = var.addon_versions
  volume_tag         = local.volume_tag
}

module "service_role" {
  source = "../../modules/irsa"

  name              = "${var.name}-serve"
  mode              = var.identity
  cluster_name      = module.cluster.name
  oidc_provider_arn = module.cluster.oidc_provider_arn
  oidc_issuer       = module.cluster.oidc_issuer
  namespace         = var.namespace
  service_account   = var.name
  policy_arns       = { serve = module.iam.serve_policy_arn }
}

module "load_balancer_controller" {
  source = "../../modules/load_balancer_controller"

  cluster_name      = module.cluster.name
  vpc_id            = module.network.vpc_id
  oidc_provider_arn = module.cluster.oidc_provider_arn
  oidc_issuer       = module.cluster.oidc_issuer
}

module "container_logs" {
  source = "../../modules/container_logs"

  name              = var.name
  namespace         = var.namespace
  kms_key_arn       = module.platform_key.arn
  cluster_name      = module.cluster.name
  oidc_provider_arn = module.cluster.oidc_provider_arn
  oidc_issuer       = module.cluster.oidc_issuer
  addon_version     = lookup(var.addon_versions, "amazon-cloudwatch-observability", null)
}

module "registry" {
  source   = "../../modules/registry"
  for_each = { server = var.name, snapshots = "${var.name}-snapshots" }

  name        = each.value
  kms_key_arn = module.platform_key.arn
}

module "volume_backup" {
  source = "../../modules/volume_backup"

  name        = var.name
  kms_key_arn = module.platform_key.arn
  volume_tag  = local.volume_tag
}

module "alerts" {
  source = "../../modules/alerts"

  name        = "${var.name}-alerts"
  emails      = var.alert_emails
  kms_key_arn = module.platform_key.arn
  account_id  = local.account_id
}

module "monitoring" {
  source = "../../modules/monitoring"

  name          = var.name
  tables        = { conversations = module.tables.conversations, messages = module.tables.messages }
  alarm_actions = [module.alerts.topic_arn]
  backup_vault  = module.volume_backup.vault_name
}

module "budget" {
  source = "../../modules/budget"

  name            = var.name
  monthly_dollars = var.monthly_dollars
  topic_arn       = module.alerts.topic_arn
}
