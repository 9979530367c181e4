"""Former name of `airflow_wall.language`. Installed kinds of clusters may import from here."""
