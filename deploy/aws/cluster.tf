# EKS in Auto Mode: AWS runs the autoscaler of the nodes (Karpenter), load balancers, DNS and Pod Identity.

resource "aws_iam_role" "cluster" {
  name               = "${var.name}-cluster"
  assume_role_policy = module.plan.trust.cluster
}

resource "aws_iam_role_policy_attachment" "cluster" {
  for_each = module.plan.cluster_policies

  role       = aws_iam_role.cluster.name
  policy_arn = each.value
}

resource "aws_iam_role" "node" {
  name               = "${var.name}-node"
  assume_role_policy = module.plan.trust.node
}

resource "aws_iam_role_policy_attachment" "node" {
  for_each = module.plan.node_policies

  role       = aws_iam_role.node.name
  policy_arn = each.value
}

resource "aws_eks_cluster" "this" {
  name                          = var.name
  version                       = var.kubernetes_version
  role_arn                      = aws_iam_role.cluster.arn
  bootstrap_self_managed_addons = false
  deletion_protection           = var.protect
  enabled_cluster_log_types     = ["audit", "authenticator"]

  access_config {
    authentication_mode                         = "API"
    bootstrap_cluster_creator_admin_permissions = true
  }

  compute_config {
    enabled       = true
    node_pools    = ["general-purpose", "system"] # install.sh adds the pool of the workers
    node_role_arn = aws_iam_role.node.arn
  }

  kubernetes_network_config {
    elastic_load_balancing { enabled = true }
  }

  storage_config {
    block_storage { enabled = true }
  }

  vpc_config {
    subnet_ids              = [for subnet in aws_subnet.private : subnet.id]
    endpoint_private_access = true
    endpoint_public_access  = true
    public_access_cidrs     = var.admin_networks
  }

  upgrade_policy {
    support_type = "STANDARD"
  }

  # Without its rights, the cluster can neither start nor, when all is destroyed, remove its nodes.
  depends_on = [
    aws_iam_role_policy_attachment.cluster, aws_iam_role_policy_attachment.node,
    aws_route.nat, aws_route_table_association.private,
  ]
}
