variable "name_prefix" {
  description = "What the tables' names begin with: PREFIXconversations and PREFIXmessages."
  type        = string
  default     = ""
}

variable "kms_key_arn" {
  description = "The key of your own that the tables are encrypted with."
  type        = string
}

variable "billing" {
  description = "on_demand, or provisioned with autoscaling."
  type        = string
  default     = "on_demand"

  validation {
    condition     = contains(["on_demand", "provisioned"], var.billing)
    error_message = "billing is on_demand or provisioned."
  }
}

variable "capacity" {
  description = "Units a second of each table and index where billing is provisioned, and how much of them may be in use before there are more."
  type = object({
    read           = optional(object({ min = number, max = number }), { min = 5, max = 500 })
    write          = optional(object({ min = number, max = number }), { min = 5, max = 500 })
    target_percent = optional(number, 70)
  })
  default = {}
}

variable "secondary_indexes" {
  description = "The indexes UserCreatedIndex and ConversationTimeIndex. They are for other readers: Colloquy needs neither, and each costs a write unit for every new item."
  type        = bool
  default     = true
}

variable "updated_index" {
  description = "The index UserUpdatedIndex (serve --updated-index)."
  type        = bool
  default     = false
}

variable "keys_table" {
  description = "The name of the table of users' wrapped keys (serve --encryption); null: there is none. It has no prefix, since restored tables go on with the keys that there are."
  type        = string
  default     = null
}

variable "deletion_protection" {
  description = "Whether the tables can be deleted only after this is off."
  type        = bool
  default     = true
}

variable "recovery_days" {
  description = "How many days back the tables can be restored to any second."
  type        = number
  default     = 35

  validation {
    condition     = var.recovery_days >= 1 && var.recovery_days <= 35
    error_message = "Point-in-time recovery reaches back 1 to 35 days."
  }
}
