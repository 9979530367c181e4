"""The environments of a step's Python code: a venv with packages, another interpreter, or a container image."""
