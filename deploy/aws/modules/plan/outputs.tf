output "size" {
  description = "Instance types and limits of the size."
  value       = local.size
}

output "network" {
  description = "CIDR of the VPC."
  value       = local.network
}

output "subnets" {
  description = "Zone => CIDRs of its private and its public subnet, and the zone whose NAT gateway it uses."
  value       = local.subnets
}

output "nat_zones" {
  description = "Zones with a NAT gateway."
  value       = toset(local.nat_zones)
}

output "data_ports" {
  description = "Database and broker => port."
  value       = { database = 5432, broker = 6379 }
}

output "buckets" {
  description = "`lake` and `logs` => name, and the days after which objects are deleted, or null."
  value       = local.buckets
}

output "secrets" {
  description = "Name of each generated secret => its length."
  value       = local.secrets
}

output "trust" {
  description = "Who may take the roles of the cluster, of a node and of a pod, as JSON."
  value       = local.trust
}

output "cluster_policies" {
  description = "Managed policies of the cluster's role in Auto Mode."
  value = toset([for name in [
    "AmazonEKSClusterPolicy", "AmazonEKSComputePolicy", "AmazonEKSBlockStoragePolicy", "AmazonEKSLoadBalancingPolicy",
    "AmazonEKSNetworkingPolicy",
  ] : "arn:aws:iam::aws:policy/${name}"])
}

output "node_policies" {
  description = "Managed policies of a node's role in Auto Mode."
  value = toset([for name in ["AmazonEKSWorkerNodeMinimalPolicy", "AmazonEC2ContainerRegistryPullOnly"] :
  "arn:aws:iam::aws:policy/${name}"])
}

output "identities" {
  description = "Component => its service account in the cluster, and what its role may do, as JSON."
  value = {
    for component, policy in local.policies :
    component => { namespace = "airflow", service_account = "airflow-${component}", policy = policy }
  }
}

output "image_lifecycle" {
  description = "Which images the registry keeps, as JSON."
  value = jsonencode({
    rules = [{
      rulePriority = 1
      description  = "keep the last 20 images"
      selection    = { tagStatus = "any", countType = "imageCountMoreThan", countNumber = 20 }
      action       = { type = "expire" }
    }]
  })
}
