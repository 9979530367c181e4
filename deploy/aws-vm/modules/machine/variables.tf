variable "name" {
  description = "Name of everything."
  type        = string
}

variable "region" {
  description = "AWS region."
  type        = string
}

variable "account_id" {
  description = "AWS account; it makes the name of the bucket unique."
  type        = string
}

variable "repository" {
  description = "Git repository to clone."
  type        = string
}

variable "revision" {
  description = "Branch, tag or commit."
  type        = string
}
