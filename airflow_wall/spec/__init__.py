"""What a user may write: one frozen model per block of the YAML."""
