# Names, sizes, networks and rights of the installation: decided from the variables alone, so `terraform test` needs
# neither a provider nor an account.

terraform {
  required_version = ">= 1.11, < 2.0"
}

locals {
  sizes = {
    small = {
      database = { instance_class = "db.t4g.small", multi_az = false }
      broker   = { node_type = "cache.t4g.micro", nodes = 1 }
      nat      = 1
      worker   = { max = 4, concurrency = 4, cpu = "1", memory = "4Gi", pool_cpu = 8, pool_memory = "32Gi" }
    }
    medium = {
      database = { instance_class = "db.m7g.large", multi_az = true }
      broker   = { node_type = "cache.t4g.small", nodes = 2 }
      nat      = 3
      worker   = { max = 12, concurrency = 4, cpu = "2", memory = "8Gi", pool_cpu = 48, pool_memory = "192Gi" }
    }
  }
  size = local.sizes[var.size]

  zones     = slice(var.zones, 0, min(3, length(var.zones)))
  network   = "10.20.0.0/16"
  nat_zones = slice(local.zones, 0, min(local.size.nat, length(local.zones)))
  subnets = {
    for index, zone in local.zones : zone => {
      private  = cidrsubnet(local.network, 3, index)       # 8,190 addresses: a pod takes one
      public   = cidrsubnet(local.network, 8, 224 + index) # 254
      nat_zone = contains(local.nat_zones, zone) ? zone : local.nat_zones[0]
    }
  }

  buckets = {
    lake = { name = "${var.name}-lake-${var.account_id}", expire_days = null }
    logs = { name = "${var.name}-logs-${var.account_id}", expire_days = 90 }
  }

  # Number of letters and digits. A Fernet key is 32 bytes, which install.sh encodes.
  secrets = {
    database-password = 40
    keda-password     = 40
    broker-password   = 40
    fernet-key        = 32
    jwt-secret        = 64
    api-secret-key    = 64
    admin-password    = 20
  }
}
