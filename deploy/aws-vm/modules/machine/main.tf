# What the machine does at its first start, and what it may do: no provider is needed.

terraform {
  required_version = ">= 1.11, < 2.0"
}

locals {
  bucket = "${var.name}-vm-${var.account_id}"
}
