variable "name" {
  description = "Name of everything."
  type        = string
}

variable "account_id" {
  description = "AWS account; it makes the names of buckets unique."
  type        = string
  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "`account_id` must be 12 digits."
  }
}

variable "zones" {
  description = "Availability zones of the region; the first three are used."
  type        = list(string)
  validation {
    condition     = length(var.zones) >= 2
    error_message = "A region must have two zones: RDS needs them."
  }
}

variable "size" {
  description = "`small` or `medium`."
  type        = string
  validation {
    condition     = contains(["small", "medium"], var.size)
    error_message = "`size` must be `small` or `medium`."
  }
}
