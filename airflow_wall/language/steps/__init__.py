"""The fields of each step, which the YAML gives under `with`: one module per step, named like the step."""
