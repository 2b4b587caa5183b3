variable "name" {
  description = "The cluster's name."
  type        = string
}

variable "kubernetes_version" {
  description = "The version of Kubernetes."
  type        = string
}

variable "subnet_ids" {
  description = "The private subnets of the nodes."
  type        = list(string)
}

variable "kms_key_arn" {
  description = "The key that encrypts Kubernetes' secrets, the cluster's log and the volumes."
  type        = string
}

variable "api_access_cidrs" {
  description = "The addresses that may reach the cluster's API from outside; none: only from within the network."
  type        = list(string)
}

variable "architecture" {
  description = "arm64 or x86_64: the image must have it, and the instance types."
  type        = string
  default     = "arm64"

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "architecture is arm64 or x86_64."
  }
}

variable "instance_types" {
  description = "The nodes' instance types."
  type        = list(string)
  default     = ["m7g.large"]
}

variable "nodes" {
  description = "How many nodes."
  type        = object({ min = number, max = number })
  default     = { min = 3, max = 6 }
}

variable "node_disk_gib" {
  description = "The size of a node's own disk, for images and logs."
  type        = number
  default     = 30
}

variable "log_retention_days" {
  description = "How long the cluster's log is kept."
  type        = number
  default     = 90
}

variable "addon_versions" {
  description = "Versions of add-ons by their name, such as { aws-ebs-csi-driver = \"v1.44.0-eksbuild.1\" }; others have the cluster's default one."
  type        = map(string)
  default     = {}
}

variable "volume_tag" {
  description = "The tag of every volume that the cluster makes."
  type        = object({ key = string, value = string })
}
