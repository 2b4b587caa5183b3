variable "region" {
  description = "The region; null: as the environment or the profile says."
  type        = string
  default     = null
}

variable "name" {
  description = "What everything's name begins with: the tables are NAME-conversations and NAME-messages."
  type        = string
  default     = "colloquy"
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

variable "keys_table" {
  description = "Whether there is a table of users' keys, for --encryption."
  type        = bool
  default     = false
}

variable "deletion_protection" {
  description = "Whether the tables can be deleted only after this is off."
  type        = bool
  default     = true
}

variable "alarm_actions" {
  description = "What alarms call, such as the ARN of an SNS topic of yours."
  type        = list(string)
  default     = []
}
