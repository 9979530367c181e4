variables {
  region          = "eu-west-1"
  image           = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/airflow"
  lake            = "s3://airflow-lake-123456789012/lake"
  logs            = "s3://airflow-logs-123456789012/airflow"
  data_networks   = ["10.20.0.0/19", "10.20.32.0/19"]
  worker          = { max = 4, concurrency = 4, cpu = "1", memory = "4Gi", pool_cpu = 8, pool_memory = "32Gi" }
  domain          = ""
  certificate_arn = ""
  admin_networks  = ["203.0.113.7/32"]
}

run "private_by_default" {
  command = plan

  assert {
    condition     = !can(yamldecode(output.chart).ingress)
    error_message = "without a domain, no load balancer is made"
  }
}

run "a_domain_makes_a_load_balancer_for_the_admins" {
  command = plan
  variables {
    domain          = "airflow.example.com"
    certificate_arn = "arn:aws:acm:eu-west-1:123456789012:certificate/1"
    admin_networks  = ["203.0.113.7/32", "198.51.100.0/24"]
  }

  assert {
    condition = (
      yamldecode(output.chart).ingress.apiServer.annotations["alb.ingress.kubernetes.io/inbound-cidrs"]
      == "203.0.113.7/32,198.51.100.0/24"
    )
    error_message = "only the admins' networks are let in"
  }
  assert {
    condition     = yamldecode(output.chart).config.api.base_url == "https://airflow.example.com"
    error_message = "Airflow knows its own address"
  }
}

run "the_pool_takes_all_workers" {
  command = plan

  assert {
    condition = (
      tonumber(yamldecode(output.node_pool).spec.limits.cpu)
      > yamldecode(output.chart).workers.celery.keda.maxReplicaCount * tonumber(yamldecode(output.chart).workers.celery.resources.requests.cpu)
    )
    error_message = "the workers need more processors than the pool may have"
  }
  assert {
    condition = (
      yamldecode(output.node_pool).spec.template.metadata.labels == yamldecode(output.chart).workers.celery.nodeSelector
    )
    error_message = "the workers do not fit the pool's label"
  }
}
