output "chart" {
  description = "values.yaml of the chart."
  value       = yamlencode(merge(local.chart, var.domain == "" ? {} : local.ui))
}

output "node_pool" {
  description = "Manifest of the node pool of the workers; it grows from zero up to its limits."
  value       = yamlencode(local.node_pool)
}
