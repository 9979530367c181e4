output "ui" {
  description = "The command that connects the UI to http://localhost:8080."
  value       = <<-EOT
    aws ssm start-session --region ${var.region} --target ${aws_instance.this.id} --document-name AWS-StartPortForwardingSession --parameters '{"portNumber":["8080"],"localPortNumber":["8080"]}'
  EOT
}

output "shell" {
  description = "The command that opens a shell on the machine; `sudo tail -f /var/log/cloud-init-output.log` shows the installation."
  value       = "aws ssm start-session --region ${var.region} --target ${aws_instance.this.id}"
}

output "bucket" {
  description = "Bucket of the backups; tasks may use its folder `lake/`."
  value       = aws_s3_bucket.this.bucket
}
