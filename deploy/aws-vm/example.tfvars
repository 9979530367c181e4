region        = "eu-west-1"
name          = "airflow"
instance_type = "m7i.xlarge"
repository    = "https://git.example.com/your-team/airflow-wall" # your clone, with your pipelines in dags/
protect       = true
