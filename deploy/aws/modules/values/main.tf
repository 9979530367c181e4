# The chart's values and the node pool of the workers, from addresses alone. No password is among them.

terraform {
  required_version = ">= 1.11, < 2.0"
}

locals {
  pool = "airflow-wall/pool"
  # Everywhere but the link-local addresses, which serve the credentials of the node; among them, the agent of Pod
  # Identity.
  anywhere = { ipBlock = { cidr = "0.0.0.0/0", except = ["169.254.0.0/16"] } }
  data = [
    { to = [local.anywhere], ports = [{ port = 443, protocol = "TCP" }] },
    { to = [{ ipBlock = { cidr = "169.254.170.23/32" } }], ports = [{ port = 80, protocol = "TCP" }] },
  ]

  chart = {
    fullnameOverride   = "airflow"
    images             = { airflow = { repository = var.image } }
    pipelineConfigMaps = ["airflow-pipelines"]
    env = [
      { name = "WALL_LAKE", value = var.lake },
      { name = "AWS_REGION", value = var.region },
      { name = "AWS_DEFAULT_REGION", value = var.region },
    ]
    config = merge(
      { wall = { allowed_env = "WALL_LAKE" } },
      var.domain == "" ? {} : { api = { base_url = "https://${var.domain}" } },
    )
    volumes      = [{ name = "authority", configMap = { name = "rds-authority" } }]
    volumeMounts = [{ name = "authority", mountPath = "/authority", readOnly = true }]
    logs         = { remote = { folder = var.logs } }
    networkPolicies = {
      database = [for cidr in var.data_networks : { ipBlock = { cidr = cidr } }]
      broker   = [for cidr in var.data_networks : { ipBlock = { cidr = cidr } }]
      data     = local.data
    }
    migrateDatabaseJob = { grantReadTo = "airflow_keda" }
    workers = {
      celery = {
        concurrency  = var.worker.concurrency
        keda         = { enabled = true, minReplicaCount = 0, maxReplicaCount = var.worker.max }
        nodeSelector = { (local.pool) = "workers" }
        tolerations  = [{ key = local.pool, operator = "Equal", value = "workers", effect = "NoSchedule" }]
        resources = {
          requests = { cpu = var.worker.cpu, memory = var.worker.memory }
          limits   = { memory = var.worker.memory }
        }
      }
    }
  }
  ui = {
    ingress = {
      apiServer = {
        enabled          = true
        ingressClassName = "alb"
        hosts            = [{ name = var.domain }]
        annotations = {
          "alb.ingress.kubernetes.io/scheme"           = "internet-facing"
          "alb.ingress.kubernetes.io/target-type"      = "ip"
          "alb.ingress.kubernetes.io/certificate-arn"  = var.certificate_arn
          "alb.ingress.kubernetes.io/listen-ports"     = "[{\"HTTPS\": 443}]"
          "alb.ingress.kubernetes.io/inbound-cidrs"    = join(",", var.admin_networks)
          "alb.ingress.kubernetes.io/healthcheck-path" = "/api/v2/version"
        }
      }
    }
  }

  node_pool = {
    apiVersion = "karpenter.sh/v1"
    kind       = "NodePool"
    metadata   = { name = "airflow-workers" }
    spec = {
      template = {
        metadata = { labels = { (local.pool) = "workers" } }
        spec = {
          nodeClassRef           = { group = "eks.amazonaws.com", kind = "NodeClass", name = "default" }
          taints                 = [{ key = local.pool, value = "workers", effect = "NoSchedule" }]
          expireAfter            = "336h"
          terminationGracePeriod = "24h"
          requirements = [
            { key = "karpenter.sh/capacity-type", operator = "In", values = ["on-demand"] },
            { key = "kubernetes.io/arch", operator = "In", values = ["amd64"] },
            { key = "eks.amazonaws.com/instance-category", operator = "In", values = ["c", "m", "r"] },
            { key = "eks.amazonaws.com/instance-generation", operator = "Gt", values = ["5"] },
          ]
        }
      }
      # A node ends when its last worker has ended, never under one.
      disruption = { consolidationPolicy = "WhenEmpty", consolidateAfter = "5m" }
      limits     = { cpu = tostring(var.worker.pool_cpu), memory = var.worker.pool_memory }
    }
  }
}
