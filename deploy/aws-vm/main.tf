# One machine with Docker Compose. No port is open: people come in by AWS Systems Manager.

data "aws_caller_identity" "this" {}

data "aws_availability_zones" "this" {
  state = "available"
}

data "aws_ssm_parameter" "image" {
  name = "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id"
}

module "machine" {
  source = "./modules/machine"

  name       = var.name
  region     = var.region
  account_id = data.aws_caller_identity.this.account_id
  repository = var.repository
  revision   = var.revision
}

resource "aws_vpc" "this" {
  cidr_block           = "10.21.0.0/24"
  enable_dns_hostnames = true
}

resource "aws_subnet" "this" {
  vpc_id                  = aws_vpc.this.id
  availability_zone       = data.aws_availability_zones.this.names[0]
  cidr_block              = "10.21.0.0/26"
  map_public_ip_on_launch = true
}

resource "aws_internet_gateway" "this" {
  vpc_id = aws_vpc.this.id
}

resource "aws_route_table" "this" {
  vpc_id = aws_vpc.this.id
}

resource "aws_route" "internet" {
  route_table_id         = aws_route_table.this.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this.id
}

resource "aws_route_table_association" "this" {
  subnet_id      = aws_subnet.this.id
  route_table_id = aws_route_table.this.id
}

resource "aws_security_group" "this" {
  name        = var.name
  description = "nothing comes in, everything goes out"
  vpc_id      = aws_vpc.this.id
}

resource "aws_vpc_security_group_egress_rule" "this" {
  security_group_id = aws_security_group.this.id
  ip_protocol       = "-1"
  cidr_ipv4         = "0.0.0.0/0"
}

resource "aws_s3_bucket" "this" {
  bucket        = module.machine.bucket
  force_destroy = !var.protect
}

resource "aws_s3_bucket_public_access_block" "this" {
  bucket                  = aws_s3_bucket.this.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_iam_role" "this" {
  name               = var.name
  assume_role_policy = module.machine.trust
}

resource "aws_iam_role_policy" "this" {
  name   = "bucket"
  role   = aws_iam_role.this.id
  policy = module.machine.policy
}

resource "aws_iam_role_policy_attachment" "session" {
  role       = aws_iam_role.this.name
  policy_arn = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
}

resource "aws_iam_instance_profile" "this" {
  name = var.name
  role = aws_iam_role.this.name
}

# Database, lake and images: it outlives the machine.
resource "aws_ebs_volume" "this" {
  availability_zone = aws_subnet.this.availability_zone
  size              = var.disk_gigabytes
  type              = "gp3"
  encrypted         = true
  final_snapshot    = var.protect
}

resource "aws_volume_attachment" "this" {
  device_name                    = "/dev/sdf"
  volume_id                      = aws_ebs_volume.this.id
  instance_id                    = aws_instance.this.id
  stop_instance_before_detaching = true
}

resource "aws_instance" "this" {
  ami                     = data.aws_ssm_parameter.image.insecure_value
  instance_type           = var.instance_type
  subnet_id               = aws_subnet.this.id
  vpc_security_group_ids  = [aws_security_group.this.id]
  iam_instance_profile    = aws_iam_instance_profile.this.name
  user_data               = module.machine.user_data
  disable_api_termination = var.protect
  tags                    = { Name = var.name }

  # A container is one hop further from the machine than a process, and tasks use the machine's role.
  metadata_options {
    http_tokens                 = "required"
    http_put_response_hop_limit = 2
  }

  root_block_device {
    volume_type = "gp3"
    volume_size = 30
    encrypted   = true
  }

  # A newer image of Ubuntu does not replace the machine.
  lifecycle { ignore_changes = [ami] }
}
