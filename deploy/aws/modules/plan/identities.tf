locals {
  trust = {
    cluster = jsonencode({
      Version = "2012-10-17"
      Statement = [{
        Effect    = "Allow", Action = ["sts:AssumeRole", "sts:TagSession"]
        Principal = { Service = "eks.amazonaws.com" }
      }]
    })
    node = jsonencode({
      Version   = "2012-10-17"
      Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "ec2.amazonaws.com" } }]
    })
    pod = jsonencode({
      Version = "2012-10-17"
      Statement = [{
        Effect    = "Allow", Action = ["sts:AssumeRole", "sts:TagSession"]
        Principal = { Service = "pods.eks.amazonaws.com" }
      }]
    })
  }

  # What each component does in the buckets. `folder` is the part of the bucket that it sees.
  write = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
  rights = {
    api-server = [{ bucket = "logs", folder = "airflow", actions = ["s3:GetObject"] }]
    triggerer = [
      { bucket = "logs", folder = "airflow", actions = ["s3:GetObject", "s3:PutObject"] },
      { bucket = "lake", folder = "lake", actions = ["s3:GetObject"] },
    ]
    worker = [
      { bucket = "logs", folder = "airflow", actions = ["s3:GetObject", "s3:PutObject"] },
      { bucket = "lake", folder = "lake", actions = local.write },
    ]
  }
  policies = {
    for component, rights in local.rights : component => jsonencode({
      Version = "2012-10-17"
      Statement = flatten([for right in rights : [
        {
          Effect   = "Allow"
          Action   = right.actions
          Resource = "arn:aws:s3:::${local.buckets[right.bucket].name}/${right.folder}/*"
        },
        {
          Effect    = "Allow"
          Action    = ["s3:ListBucket"]
          Resource  = "arn:aws:s3:::${local.buckets[right.bucket].name}"
          Condition = { StringLike = { "s3:prefix" = ["${right.folder}", "${right.folder}/*"] } }
        },
      ]])
    })
  }
}
