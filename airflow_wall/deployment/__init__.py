"""Tools for a deployment: probes of its components, and the checks of `airflow-wall doctor`."""
