output "values" {
  description = "The chart's values.yaml."
  value       = module.values.chart
}

output "node_pool" {
  description = "The node pool of the workers, as a manifest."
  value       = module.values.node_pool
}

output "installation" {
  description = "What install.sh and destroy.sh need to know."
  value = {
    region        = var.region
    cluster       = aws_eks_cluster.this.name
    image         = aws_ecr_repository.airflow.repository_url
    database_host = aws_db_instance.this.address
    broker_host   = aws_elasticache_replication_group.this.primary_endpoint_address
    secrets       = { for key, secret in aws_secretsmanager_secret.this : key => secret.name }
    ui            = var.domain == "" ? "" : "https://${var.domain}"
  }
}
