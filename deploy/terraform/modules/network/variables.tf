variable "name" {
  description = "What the names begin with."
  type        = string
}

variable "cidr" {
  description = "The network's addresses, a /16 to /20."
  type        = string
  default     = "10.20.0.0/16"
}

variable "availability_zones" {
  description = "Two or three zones of the region."
  type        = list(string)

  validation {
    condition     = length(var.availability_zones) >= 2 && length(var.availability_zones) <= 3
    error_message = "EKS needs two zones, and the network has room for three."
  }
}

variable "nat_per_zone" {
  description = "A NAT gateway in each zone, so that none depends on another; or one, which costs a third."
  type        = bool
  default     = false
}
