variable "name" {
  description = "The budget's name."
  type        = string
}

variable "monthly_dollars" {
  description = "What a month may cost, in US dollars."
  type        = number
}

variable "topic_arn" {
  description = "The topic that is told."
  type        = string
}

variable "tag" {
  description = "Only what bears this tag; null: the whole account."
  type        = object({ key = string, value = string })
  default     = null
}
