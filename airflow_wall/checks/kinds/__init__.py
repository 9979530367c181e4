"""The checks that the YAML can name: one module per check."""
