"""The work itself, without Airflow: what runs in the worker or travels to a cluster."""
