"""The graph of the DataOps article, as every test that looks at its pipeline expects it."""

from __future__ import annotations

DOMAINS = ("domain_1", "domain_2", "domain_3")

ARTICLE = {
    ("check_new_data", "start_cluster"),
    ("get_credentials", "start_cluster"),
    *(("start_cluster", f"etl_{domain}.ingest") for domain in DOMAINS),
    *((f"etl_{domain}.ingest", f"etl_{domain}.normalize_aggregate") for domain in DOMAINS),
    *((f"etl_{domain}.normalize_aggregate", "retrain_on_new_data") for domain in DOMAINS),
    ("retrain_on_new_data", "predict"),
    ("predict", "stop_cluster"),
    ("predict", "check_integrity"),
    ("stop_cluster", "start_sender"),
    ("check_integrity", "start_sender"),
    *(("start_sender", f"finalize_{domain}.persist") for domain in DOMAINS),
    *((f"finalize_{domain}.persist", f"finalize_{domain}.index") for domain in DOMAINS),
    *((f"finalize_{domain}.index", "stop_sender") for domain in DOMAINS),
}
"""The edges of the graph in the DataOps article."""
