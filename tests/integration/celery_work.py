"""A Celery app with the settings that Airflow gives to its workers, and one task."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from celery import Celery

app = Celery("work")
app.conf.update(json.loads(os.environ["WORK_CONFIG"]))


@app.task(name="work")
def work(name: str, seconds: float) -> None:
    """Make a folder, which fails if it is there, and a file in it at the end: begun once, ended once."""
    folder = Path(os.environ["WORK"]) / name
    folder.mkdir()
    time.sleep(seconds)
    (folder / "done").touch()
