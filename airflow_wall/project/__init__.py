"""New projects: their files from templates, or from a CSV file."""
