"""Functions of the pipeline."""


def train(f):
    """Train."""


def profit_score(observed, predicted):
    """Return the profit."""
