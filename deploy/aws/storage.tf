# Buckets of the lake and of the logs, and the registry of the image.

resource "aws_s3_bucket" "this" {
  for_each = module.plan.buckets

  bucket        = each.value.name
  force_destroy = !var.protect
}

resource "aws_s3_bucket_public_access_block" "this" {
  for_each = aws_s3_bucket.this

  bucket                  = each.value.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  for_each = aws_s3_bucket.this

  bucket = each.value.id
  rule {
    id     = "unfinished-uploads"
    status = "Enabled"
    filter {}
    abort_incomplete_multipart_upload { days_after_initiation = 7 }
  }
  dynamic "rule" {
    for_each = module.plan.buckets[each.key].expire_days[*]
    content {
      id     = "expire"
      status = "Enabled"
      filter {}
      expiration { days = rule.value }
    }
  }
}

resource "aws_ecr_repository" "airflow" {
  name                 = var.name
  image_tag_mutability = "IMMUTABLE"
  force_delete         = !var.protect
  image_scanning_configuration { scan_on_push = true }
}

resource "aws_ecr_lifecycle_policy" "airflow" {
  repository = aws_ecr_repository.airflow.name
  policy     = module.plan.image_lifecycle
}
