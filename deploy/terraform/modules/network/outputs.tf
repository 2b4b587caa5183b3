output "vpc_id" {
  value = aws_vpc.this.id
}

output "account_id" {
  description = "The account that owns the network."
  value       = aws_vpc.this.owner_id
}

output "private_subnet_ids" {
  value = [for zone in var.availability_zones : aws_subnet.private[zone].id]
}

output "public_subnet_ids" {
  value = [for zone in var.availability_zones : aws_subnet.public[zone].id]
}
