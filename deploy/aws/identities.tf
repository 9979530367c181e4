# One role for each service account that needs AWS, bound by EKS Pod Identity. The others have none.

resource "aws_iam_role" "pod" {
  for_each = module.plan.identities

  name               = "${var.name}-${each.key}"
  assume_role_policy = module.plan.trust.pod
}

resource "aws_iam_role_policy" "pod" {
  for_each = module.plan.identities

  name   = "buckets"
  role   = aws_iam_role.pod[each.key].id
  policy = each.value.policy
}

resource "aws_iam_role_policy_attachment" "worker" {
  for_each = toset(var.worker_policy_arns)

  role       = aws_iam_role.pod["worker"].name
  policy_arn = each.value
}

resource "aws_eks_pod_identity_association" "pod" {
  for_each = module.plan.identities

  cluster_name    = aws_eks_cluster.this.name
  namespace       = each.value.namespace
  service_account = each.value.service_account
  role_arn        = aws_iam_role.pod[each.key].arn
}
