"""Jobs: units of compute without Airflow, which run in the worker or on a cluster."""
