"""Airflow's connections to clouds, as the plain calls that clusters are made of."""
