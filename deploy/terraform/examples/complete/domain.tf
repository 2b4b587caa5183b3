# The zone of the domain, the certificate, and, once the chart's load balancer is there, the record that names it.

resource "aws_route53_zone" "this" {
  count = var.zone_id == null ? 1 : 0
  name  = var.domain
}

locals {
  zone_id = coalesce(var.zone_id, one(aws_route53_zone.this[*].zone_id))
}

module "certificate" {
  source = "../../modules/certificate"

  domain  = var.domain
  zone_id = local.zone_id
}

data "aws_lb" "ingress" {
  count = var.load_balancer_is_there ? 1 : 0
  name  = var.name
}

resource "aws_route53_record" "service" {
  for_each = var.load_balancer_is_there ? toset(["A"]) : toset([])

  zone_id = local.zone_id
  name    = var.domain
  type    = each.key

  alias {
    name                   = data.aws_lb.ingress[0].dns_name
    zone_id                = data.aws_lb.ingress[0].zone_id
    evaluate_target_health = true
  }
}
