variables {
  name       = "airflow"
  region     = "eu-west-1"
  account_id = "123456789012"
  repository = "https://git.example.com/data/pipelines"
  revision   = "v1"
}

run "the_first_start_clones_the_revision" {
  command = plan

  assert {
    condition     = strcontains(output.user_data, "git clone \"https://git.example.com/data/pipelines\" /srv/airflow-wall")
    error_message = "the repository is cloned"
  }
  assert {
    condition     = strcontains(output.user_data, "git checkout --quiet \"v1\"")
    error_message = "the revision is checked out"
  }
  assert {
    condition     = length(output.user_data) < 16000
    error_message = "EC2 takes 16 kB of user data"
  }
}

run "the_machine_reaches_only_its_bucket" {
  command = plan

  assert {
    condition = alltrue([
      for statement in jsondecode(output.policy).Statement :
      alltrue([for resource in statement.Resource : startswith(resource, "arn:aws:s3:::airflow-vm-123456789012")])
    ])
    error_message = "the role names another resource"
  }
}
