output "bucket" {
  description = "Name of the bucket."
  value       = local.bucket
}

output "trust" {
  description = "Who may take the machine's role, as JSON."
  value = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "ec2.amazonaws.com" } }]
  })
}

output "policy" {
  description = "What the machine may do in the bucket, as JSON."
  value = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
        Resource = ["arn:aws:s3:::${local.bucket}/*"]
      },
      { Effect = "Allow", Action = ["s3:ListBucket"], Resource = ["arn:aws:s3:::${local.bucket}"] },
    ]
  })
}

output "user_data" {
  description = "Script of the first start."
  value = templatefile("${path.module}/first_start.sh", {
    repository = var.repository
    revision   = var.revision
    bucket     = local.bucket
    region     = var.region
  })
}
