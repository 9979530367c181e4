"""The language of pipeline files: one frozen model per block of the YAML."""
