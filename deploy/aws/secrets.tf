# Passwords and keys: generated here, kept in Secrets Manager, in no state and in no plan. Database and broker read them
# back from there, so a run that ends in the middle leaves no two values of one password.

ephemeral "random_password" "this" {
  for_each = module.plan.secrets

  length  = each.value
  special = false
}

resource "aws_secretsmanager_secret" "this" {
  for_each = module.plan.secrets

  name                    = "${var.name}/${each.key}"
  recovery_window_in_days = var.protect ? 7 : 0
}

resource "aws_secretsmanager_secret_version" "this" {
  for_each = module.plan.secrets

  secret_id                = aws_secretsmanager_secret.this[each.key].id
  secret_string_wo         = ephemeral.random_password.this[each.key].result
  secret_string_wo_version = var.secrets_version
}

ephemeral "aws_secretsmanager_secret_version" "this" {
  for_each = aws_secretsmanager_secret_version.this

  secret_id = each.value.secret_id
}
