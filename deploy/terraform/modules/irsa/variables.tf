variable "name" {
  description = "The role's name."
  type        = string
}

variable "mode" {
  description = "irsa, or pod_identity (the cluster then needs the add-on eks-pod-identity-agent)."
  type        = string
  default     = "irsa"

  validation {
    condition     = contains(["irsa", "pod_identity"], var.mode)
    error_message = "mode is irsa or pod_identity."
  }
}

variable "cluster_name" {
  description = "The EKS cluster."
  type        = string
}

variable "oidc_provider_arn" {
  description = "The cluster's OpenID Connect provider in IAM, with irsa."
  type        = string
  default     = null
}

variable "oidc_issuer" {
  description = "The cluster's issuer without https://, with irsa."
  type        = string
  default     = null
}

variable "namespace" {
  description = "The namespace of the service account."
  type        = string
}

variable "service_account" {
  description = "The name of the service account."
  type        = string
}

variable "policy_arns" {
  description = "The policies of the role, each under a name of your choice."
  type        = map(string)
}
