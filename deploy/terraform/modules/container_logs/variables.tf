variable "name" {
  description = "The log group is /colloquy/NAME."
  type        = string
}

variable "namespace" {
  description = "The namespace whose pods' logs are taken."
  type        = string
}

variable "retention_days" {
  description = "How long lines are kept. They hold no text of a conversation."
  type        = number
  default     = 30
}

variable "kms_key_arn" {
  description = "The key that encrypts the log."
  type        = string
}

variable "cluster_name" {
  description = "The EKS cluster."
  type        = string
}

variable "oidc_provider_arn" {
  description = "The cluster's OpenID Connect provider in IAM."
  type        = string
}

variable "oidc_issuer" {
  description = "The cluster's issuer without https://."
  type        = string
}

variable "addon_version" {
  description = "The add-on's version; null: the cluster's default one."
  type        = string
  default     = null
}
