"""A model of its own."""


def train(f):
    """Train."""


def save(model):
    """Return bytes."""


def load(content):
    """Return the model."""
