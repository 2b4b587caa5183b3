variable "name" {
  description = "What the names of dashboard and alarms begin with."
  type        = string
}

variable "tables" {
  description = "The tables: the outputs of the module tables, by a name of your choice."
  type        = map(object({ name = string, indexes = optional(list(string), []) }))
}

variable "alarm_actions" {
  description = "What an alarm calls when it begins and when it ends, such as the ARN of an SNS topic."
  type        = list(string)
  default     = []
}

variable "service_metrics_namespace" {
  description = "The namespace of the metrics that the servers write to their log (Embedded Metric Format)."
  type        = string
  default     = "Colloquy"
}

variable "latency_ms" {
  description = "The average milliseconds of a call of DynamoDB's that are worth an alarm."
  type        = number
  default     = 50
}

variable "hourly_write_units" {
  description = "Write units of one table in an hour that are worth an alarm, before the bill says so."
  type        = number
  default     = 5000000
}

variable "hourly_read_units" {
  description = "Read units, likewise."
  type        = number
  default     = 5000000
}

variable "backup_vault" {
  description = "The vault whose failed backups are worth an alarm; null: none."
  type        = string
  default     = null
}
