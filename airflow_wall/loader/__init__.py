"""Load pipelines: YAML text to a checked `Spec`."""
