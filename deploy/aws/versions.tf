terraform {
  required_version = ">= 1.11, < 2.0" # write-only arguments and ephemeral values: no password is in the state

  required_providers {
    aws    = { source = "hashicorp/aws", version = "~> 6.20" }
    random = { source = "hashicorp/random", version = "~> 3.7" }
  }
}

provider "aws" {
  region = var.region
  default_tags { tags = { Project = var.name, ManagedBy = "terraform" } }
}
