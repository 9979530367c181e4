"""Clients of clouds that use Airflow's connections."""
