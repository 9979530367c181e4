variables {
  name       = "airflow"
  account_id = "123456789012"
  zones      = ["eu-west-1a", "eu-west-1b", "eu-west-1c", "eu-west-1d"]
  size       = "small"
}

run "subnets_do_not_overlap" {
  command = plan

  assert {
    condition     = length(output.subnets) == 3
    error_message = "three zones are used"
  }
  assert {
    condition = output.subnets == {
      eu-west-1a = { private = "10.20.0.0/19", public = "10.20.224.0/24", nat_zone = "eu-west-1a" }
      eu-west-1b = { private = "10.20.32.0/19", public = "10.20.225.0/24", nat_zone = "eu-west-1a" }
      eu-west-1c = { private = "10.20.64.0/19", public = "10.20.226.0/24", nat_zone = "eu-west-1a" }
    }
    error_message = "subnets of the small size"
  }
}

run "medium_survives_the_loss_of_a_zone" {
  command = plan
  variables { size = "medium" }

  assert {
    condition     = output.size.database.multi_az && output.size.broker.nodes == 2
    error_message = "database and broker have a standby"
  }
  assert {
    condition     = alltrue([for zone, subnet in output.subnets : subnet.nat_zone == zone])
    error_message = "each zone has its own NAT gateway"
  }
}

run "two_zones_are_enough" {
  command = plan
  variables {
    size  = "medium"
    zones = ["us-west-1a", "us-west-1c"]
  }

  assert {
    condition     = output.nat_zones == toset(["us-west-1a", "us-west-1c"])
    error_message = "no third zone is needed"
  }
}

run "only_workers_write_to_the_lake" {
  command = plan

  assert {
    condition = [
      for component, identity in output.identities : component
      if anytrue([
        for statement in jsondecode(identity.policy).Statement :
        contains(statement.Action, "s3:DeleteObject") && strcontains(statement.Resource, "-lake-")
      ])
    ] == ["worker"]
    error_message = "a component other than the worker writes to the lake"
  }
  assert {
    condition     = alltrue([for identity in output.identities : !strcontains(identity.policy, "\"*\"")])
    error_message = "a policy allows every resource or every action"
  }
  assert {
    condition     = output.identities["worker"].service_account == "airflow-worker"
    error_message = "the chart's name of the account"
  }
}

run "rejects_an_unknown_size" {
  command = plan
  variables { size = "huge" }
  expect_failures = [var.size]
}

run "rejects_a_region_with_one_zone" {
  command = plan
  variables { zones = ["eu-west-1a"] }
  expect_failures = [var.zones]
}

run "rejects_an_account_that_is_no_number" {
  command = plan
  variables { account_id = "mine" }
  expect_failures = [var.account_id]
}
