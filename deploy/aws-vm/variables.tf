# The five decisions. example.tfvars has them in the same order.

variable "region" {
  description = "AWS region, e.g. `eu-west-1`."
  type        = string
}

variable "name" {
  description = "Name of everything that is created: 3 to 20 lowercase letters, digits and hyphens."
  type        = string
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,18}[a-z0-9]$", var.name))
    error_message = "`name` must be 3 to 20 lowercase letters, digits and hyphens, and begin with a letter."
  }
}

variable "instance_type" {
  description = "Size of the machine: at least 4 processors and 16 GiB, amd64."
  type        = string
  default     = "m7i.xlarge"
}

variable "repository" {
  description = "Git repository with the product and your `dags/`, which the machine can clone without a password."
  type        = string
  validation {
    condition     = can(regex("^https://", var.repository))
    error_message = "`repository` must begin with https://."
  }
}

variable "protect" {
  description = "Refuse to stop the machine by accident and to delete a bucket that holds objects."
  type        = bool
  default     = true
}

# What you may leave as it is.

variable "revision" {
  description = "Branch, tag or commit of the repository."
  type        = string
  default     = "main"
}

variable "disk_gigabytes" {
  description = "Disk of database, lake and images. It may grow later, never shrink."
  type        = number
  default     = 100
}
