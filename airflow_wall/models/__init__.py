"""Models: the result of a training function, the formats of model files, and the registry with its champions."""
