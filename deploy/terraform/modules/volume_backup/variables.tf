variable "name" {
  description = "The name of vault and plan."
  type        = string
}

variable "kms_key_arn" {
  description = "The key that encrypts the backups."
  type        = string
}

variable "volume_tag" {
  description = "The tag of the volumes to back up."
  type        = object({ key = string, value = string })
}

variable "daily_schedule" {
  description = "When, in UTC."
  type        = string
  default     = "cron(0 3 * * ? *)"
}

variable "keep_daily_days" {
  description = "How long a day's backup is kept."
  type        = number
  default     = 35
}

variable "monthly_schedule" {
  description = "When, in UTC."
  type        = string
  default     = "cron(0 5 1 * ? *)"
}

variable "keep_monthly_days" {
  description = "How long a month's backup is kept. What users delete stays in backups for as long."
  type        = number
  default     = 90
}
