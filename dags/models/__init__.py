"""Training functions of the pipelines in this folder."""
