variable "cluster_name" {
  description = "The EKS cluster."
  type        = string
}

variable "vpc_id" {
  description = "The cluster's network."
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
