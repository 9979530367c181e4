"""Functions that the example pipelines call."""


def count(context):
    """Say which run has ended."""
    print(f"run {context['run_id']} has ended")  # noqa: T201
