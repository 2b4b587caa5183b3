variable "domain" {
  description = "The name that clients use, such as chat.example.com."
  type        = string
}

variable "other_names" {
  description = "Further names."
  type        = list(string)
  default     = []
}

variable "zone_id" {
  description = "The Route 53 zone of the domain."
  type        = string
}
