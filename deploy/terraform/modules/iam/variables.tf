variable "name" {
  description = "What the policies' names begin with."
  type        = string
}

variable "conversations" {
  description = "The table of conversations: the output of the module tables."
  type        = object({ arn = string })
}

variable "messages" {
  description = "The table of messages, likewise."
  type        = object({ arn = string })
}

variable "keys" {
  description = "The table of keys, likewise; null: none."
  type        = object({ arn = string })
  default     = null
}

variable "kms_key_arn" {
  description = "The key that the tables are encrypted with."
  type        = string
}

variable "master_key" {
  description = "The master key of --encryption kms: the module key; null: none."
  type        = object({ arn = string })
  default     = null
}

variable "updated_index" {
  description = "Whether servers run with --updated-index."
  type        = bool
  default     = false
}

variable "read_one_user" {
  description = "Whether to make the policy that reads one user's conversations, by dynamodb:LeadingKeys."
  type        = bool
  default     = false
}
