variable "name" {
  description = "The key's alias, without alias/."
  type        = string
}

variable "description" {
  description = "What the key encrypts."
  type        = string
}

variable "deletion_window_days" {
  description = "How long a deleted key can be brought back. What it encrypts cannot be read without it."
  type        = number
  default     = 30
}

variable "services" {
  description = "Services that use the key as themselves, such as cloudwatch, budgets, backup, logs."
  type        = list(string)
  default     = []
}

variable "account_id" {
  description = "The account, where there are services."
  type        = string
  default     = null

  validation {
    condition     = length(var.services) == 0 || var.account_id != null
    error_message = "A key that services use needs account_id."
  }
}
