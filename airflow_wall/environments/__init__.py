"""What a step's own Python runs in: the worker's, one with packages of its own, another interpreter, an image."""
