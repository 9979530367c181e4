"""
The page of airflow-wall in Airflow's UI: is last night fine, and if not, what to do.

The API server needs no lake. Last night's state comes from Airflow's own runs, and the rest from the documents that the
DAG `wall_upkeep` writes.
"""
