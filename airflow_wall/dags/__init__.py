"""What an Airflow with clusters needs besides its pipelines, as `airflow_wall.bundles.UpkeepBundle` shows it."""
