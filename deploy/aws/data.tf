# The metadata database and the broker. Only the nodes of the cluster reach them.

resource "aws_security_group" "data" {
  for_each = module.plan.data_ports

  name        = "${var.name}-${each.key}"
  description = "${each.key} of ${var.name}: from the nodes of the cluster"
  vpc_id      = aws_vpc.this.id
}

resource "aws_vpc_security_group_ingress_rule" "data" {
  for_each = module.plan.data_ports

  security_group_id            = aws_security_group.data[each.key].id
  referenced_security_group_id = aws_eks_cluster.this.vpc_config[0].cluster_security_group_id
  ip_protocol                  = "tcp"
  from_port                    = each.value
  to_port                      = each.value
}

resource "aws_db_subnet_group" "this" {
  name       = var.name
  subnet_ids = [for subnet in aws_subnet.private : subnet.id]
}

resource "aws_db_instance" "this" {
  identifier                = var.name
  engine                    = "postgres"
  engine_version            = "17"
  instance_class            = module.plan.size.database.instance_class
  multi_az                  = module.plan.size.database.multi_az
  storage_type              = "gp3"
  storage_encrypted         = true
  allocated_storage         = 20
  max_allocated_storage     = 200
  db_name                   = "airflow"
  username                  = "airflow"
  password_wo               = ephemeral.aws_secretsmanager_secret_version.this["database-password"].secret_string
  password_wo_version       = var.secrets_version
  db_subnet_group_name      = aws_db_subnet_group.this.name
  vpc_security_group_ids    = [aws_security_group.data["database"].id]
  ca_cert_identifier        = "rds-ca-rsa2048-g1"
  backup_retention_period   = 7
  copy_tags_to_snapshot     = true
  deletion_protection       = var.protect
  skip_final_snapshot       = !var.protect
  final_snapshot_identifier = "${var.name}-final"
}

resource "aws_elasticache_subnet_group" "this" {
  name       = var.name
  subnet_ids = [for subnet in aws_subnet.private : subnet.id]
}

# A queue must not lose messages when memory ends; it must refuse new ones.
resource "aws_elasticache_parameter_group" "this" {
  name   = var.name
  family = "valkey8"
  parameter {
    name  = "maxmemory-policy"
    value = "noeviction"
  }
}

resource "aws_elasticache_replication_group" "this" {
  replication_group_id       = var.name
  description                = "Celery's broker and results"
  engine                     = "valkey"
  engine_version             = "8.0"
  node_type                  = module.plan.size.broker.node_type
  num_cache_clusters         = module.plan.size.broker.nodes
  automatic_failover_enabled = module.plan.size.broker.nodes > 1
  multi_az_enabled           = module.plan.size.broker.nodes > 1
  parameter_group_name       = aws_elasticache_parameter_group.this.name
  subnet_group_name          = aws_elasticache_subnet_group.this.name
  security_group_ids         = [aws_security_group.data["broker"].id]
  at_rest_encryption_enabled = true
  transit_encryption_enabled = true
  auth_token_wo              = ephemeral.aws_secretsmanager_secret_version.this["broker-password"].secret_string
  auth_token_wo_version      = var.secrets_version
  auth_token_update_strategy = "ROTATE"
}
