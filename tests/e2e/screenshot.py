"""
A picture of a page of Airflow's UI, as one who has logged in sees it.

    python screenshot.py CHROMIUM URL TOKEN WORD PICTURE

It is taken when the page shows the word.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import connect

PATIENCE, SETTLED = 120.0, 5.0
"""Seconds until the page must show the word; and then, until the rest of it is drawn."""


def main(chromium: str, url: str, token: str, word: str, picture: str) -> None:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = subprocess.Popen(
            [
                chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                "--window-size=1500,1000", "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            Path(picture).write_bytes(_picture(Path(profile) / "DevToolsActivePort", url, token, word))
        finally:
            browser.terminate()
            browser.wait(30)


def _picture(ports: Path, url: str, token: str, word: str) -> bytes:
    end = time.monotonic() + 60
    while not (ports.exists() and ports.read_text().strip()):
        if time.monotonic() > end:
            raise TimeoutError("the browser did not start")
        time.sleep(0.2)
    port = ports.read_text().split()[0]
    pages = httpx.get(f"http://127.0.0.1:{port}/json", trust_env=False).json()
    address = next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page")
    with connect(address, max_size=None, proxy=None) as page:

        def call(method: str, **params: Any) -> Any:
            page.send(json.dumps({"id": 1, "method": method, "params": params}))
            while (answer := json.loads(page.recv(60))).get("id") != 1:
                pass
            return answer["result"]

        call("Network.setCookie", name="_token", value=token, url=url)
        call("Page.navigate", url=url)
        end = time.monotonic() + PATIENCE
        while word not in call("Runtime.evaluate", expression="document.body.innerText")["result"].get("value", ""):
            if time.monotonic() > end:
                raise TimeoutError(f"the page did not show `{word}`")
            time.sleep(1)
        time.sleep(SETTLED)
        return base64.b64decode(call("Page.captureScreenshot", format="png")["data"])


if __name__ == "__main__":
    main(*sys.argv[1:])
