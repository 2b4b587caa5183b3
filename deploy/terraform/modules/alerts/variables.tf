variable "name" {
  description = "The topic's name."
  type        = string
}

variable "emails" {
  description = "Who gets a mail."
  type        = list(string)
}

variable "kms_key_arn" {
  description = "The key that encrypts what waits in the topic; the services must be among those of its policy."
  type        = string
}

variable "account_id" {
  description = "The account."
  type        = string
}
