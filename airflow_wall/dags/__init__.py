"""DAGs that maintain a deployment with clusters, which `airflow_wall.bundles.UpkeepBundle` serves."""
