variable "region" {
  description = "AWS region."
  type        = string
}

variable "image" {
  description = "Address of the image without its tag."
  type        = string
}

variable "lake" {
  description = "Address of the lake, `s3://BUCKET/PATH`."
  type        = string
}

variable "logs" {
  description = "Address of the logs of tasks, `s3://BUCKET/PATH`."
  type        = string
}

variable "data_networks" {
  description = "CIDRs of database and broker."
  type        = list(string)
}

variable "worker" {
  description = "Limits of the workers and of their node pool."
  type = object({
    max         = number
    concurrency = number
    cpu         = string
    memory      = string
    pool_cpu    = number
    pool_memory = string
  })
}

variable "domain" {
  description = "Name of the UI; empty means no load balancer."
  type        = string
}

variable "certificate_arn" {
  description = "Certificate of the UI."
  type        = string
}

variable "admin_networks" {
  description = "CIDRs that may open the UI."
  type        = list(string)
}
