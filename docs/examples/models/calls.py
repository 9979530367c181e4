"""What the example pipelines have called."""


def count(context):
    """Say which run has ended."""
    print(f"run {context['run_id']} has ended")  # noqa: T201
