variable "domain" {
  description = "The name that clients use, such as chat.example.com."
  type        = string
}

variable "alert_emails" {
  description = "Who gets a mail when something is wrong, or costs more than planned."
  type        = list(string)
}

variable "api_access_cidrs" {
  description = "The addresses from which the cluster may be operated (kubectl, helm), such as [\"203.0.113.7/32\"]. None: only from within its network."
  type        = list(string)
}

variable "monthly_dollars" {
  description = "What a month may cost, in US dollars."
  type        = number
  default     = 500
}

variable "region" {
  description = "The region; null: as the environment or the profile says."
  type        = string
  default     = null
}

variable "name" {
  description = "What everything's name begins with."
  type        = string
  default     = "colloquy"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,19}$", var.name))
    error_message = "A name of 2 to 20 lower-case letters, digits and hyphens, which a load balancer may have too."
  }
}

variable "namespace" {
  description = "The namespace that the chart is installed into."
  type        = string
  default     = "chat"
}

variable "zone_id" {
  description = "The Route 53 zone of the domain; null: one is made, and the domain must be delegated to its name servers."
  type        = string
  default     = null
}

variable "load_balancer_is_there" {
  description = "Set it once the chart's Ingress has its load balancer: the domain then points there."
  type        = bool
  default     = false
}

variable "availability_zones" {
  description = "Two or three zones; null: a, b and c of the region. Not every region has all of them."
  type        = list(string)
  default     = null
}

variable "nat_per_zone" {
  description = "A NAT gateway in each zone, so that none depends on another; or one, which costs a third."
  type        = bool
  default     = false
}

variable "identity" {
  description = "How pods get their role: irsa or pod_identity."
  type        = string
  default     = "irsa"
}

variable "kubernetes_version" {
  description = "The version of Kubernetes."
  type        = string
  default     = "1.33"
}

variable "architecture" {
  description = "arm64 or x86_64: the image must have it, and the instance types."
  type        = string
  default     = "arm64"
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

variable "addon_versions" {
  description = "Versions of the cluster's add-ons by their name; others have the cluster's default one."
  type        = map(string)
  default     = {}
}

variable "text_encryption" {
  description = "Whether what users write is encrypted with keys of each user (serve --encryption kms): makes their table and a master key."
  type        = bool
  default     = false
}

variable "tables_prefix" {
  description = "What the tables' names begin with; null: NAME and a hyphen. For tables that were restored under another name."
  type        = string
  default     = null
}

variable "billing" {
  description = "on_demand, or provisioned with autoscaling."
  type        = string
  default     = "on_demand"
}

variable "capacity" {
  description = "Units where billing is provisioned: modules/tables."
  type = object({
    read           = optional(object({ min = number, max = number }), { min = 5, max = 500 })
    write          = optional(object({ min = number, max = number }), { min = 5, max = 500 })
    target_percent = optional(number, 70)
  })
  default = {}
}

variable "secondary_indexes" {
  description = "Whether the tables have the source document's indexes, for other readers than Colloquy."
  type        = bool
  default     = true
}

variable "updated_index" {
  description = "Whether servers run with --updated-index."
  type        = bool
  default     = false
}

variable "deletion_protection" {
  description = "Whether the tables can be deleted only after this is off."
  type        = bool
  default     = true
}
