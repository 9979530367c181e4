"""A Celery app with the settings that Airflow gives to its workers, and one task."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from celery import Celery
from celery.exceptions import Ignore

app = Celery("work")
app.conf.update(json.loads(os.environ["WORK_CONFIG"]))


@app.task(name="work")
def work(name: str, seconds: float) -> None:
    """
    Make a folder, and a file in it at the end.

    Celery delivers a message again if its worker got the signal to end while it fetched another. Airflow's api-server then
    refuses the second start, and the worker ignores the message; so does this.
    """
    folder = Path(os.environ["WORK"]) / name
    try:
        folder.mkdir()
    except FileExistsError:
        (folder / "refused").touch()
        raise Ignore from None
    time.sleep(seconds)
    (folder / "done").touch()
