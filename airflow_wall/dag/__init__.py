"""Build DAGs from Plans: everything that creates objects of Airflow."""
