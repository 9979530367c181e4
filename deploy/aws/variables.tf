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

variable "size" {
  description = "`small` (one database, no standby) or `medium` (database and broker with a standby in another zone)."
  type        = string
  default     = "small"
}

variable "admin_networks" {
  description = "Networks, as CIDRs, that may reach the Kubernetes API and, with `certificate_arn`, the UI."
  type        = list(string)
  validation {
    condition     = length(var.admin_networks) > 0 && alltrue([for network in var.admin_networks : can(cidrhost(network, 0))])
    error_message = "`admin_networks` must be a list of CIDRs, e.g. [\"203.0.113.7/32\"]."
  }
}

variable "protect" {
  description = "Refuse to delete the database, the cluster and buckets that hold objects. `destroy.sh` turns it off."
  type        = bool
  default     = true
}

# What you may leave as it is.

variable "domain" {
  description = "Name under which people open the UI, e.g. `airflow.example.com`; empty means `kubectl port-forward`."
  type        = string
  default     = ""
}

variable "certificate_arn" {
  description = "Certificate of AWS Certificate Manager for `domain`."
  type        = string
  default     = ""
  validation {
    condition     = (var.certificate_arn == "") == (var.domain == "")
    error_message = "`domain` and `certificate_arn` belong together: set both, or none."
  }
}

variable "kubernetes_version" {
  description = "Version of EKS. EKS upgrades one minor version at a time."
  type        = string
  default     = "1.34"
}

variable "worker_policy_arns" {
  description = "Further IAM policies for tasks, e.g. for clusters of EMR or for buckets with your sources."
  type        = list(string)
  default     = []
}

variable "secrets_version" {
  description = "Raise it by one to replace every generated password and key; then run install.sh."
  type        = number
  default     = 1
}
