# Order of reading: modules/plan decides names, sizes and rights without a provider; the files beside this one create
# what it says; modules/values writes the chart's values from their addresses.

data "aws_caller_identity" "this" {}

data "aws_availability_zones" "this" {
  state = "available"
  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }
}

module "plan" {
  source = "./modules/plan"

  name       = var.name
  account_id = data.aws_caller_identity.this.account_id
  zones      = data.aws_availability_zones.this.names
  size       = var.size
}

module "values" {
  source = "./modules/values"

  region          = var.region
  image           = aws_ecr_repository.airflow.repository_url
  lake            = "s3://${aws_s3_bucket.this["lake"].bucket}/lake"
  logs            = "s3://${aws_s3_bucket.this["logs"].bucket}/airflow"
  data_networks   = [for subnet in module.plan.subnets : subnet.private]
  worker          = module.plan.size.worker
  domain          = var.domain
  certificate_arn = var.certificate_arn
  admin_networks  = var.admin_networks
}
