"""What runs beside a deployment: probes of its components, and what `airflow-wall doctor` knows."""
