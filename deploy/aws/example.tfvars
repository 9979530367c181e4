region         = "eu-west-1"
name           = "airflow"
size           = "small"
admin_networks = ["203.0.113.7/32"] # your address: curl https://checkip.amazonaws.com
protect        = true
