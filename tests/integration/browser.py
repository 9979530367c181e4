"""A headless Chromium, driven by Selenium."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

WIDE, NARROW = (1400, 900), (420, 900)


def needs_chromium() -> pytest.MarkDecorator:
    """Skip the test, with a reason, if Chromium is not installed."""
    missing = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"needs {' and '.join(missing)}: apt-get install chromium-driver")


@contextlib.contextmanager
def browser(folder: Path) -> Iterator[Any]:
    """Start a browser whose profile is in a folder."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or "chromium"
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        f"--user-data-dir={folder}",
        "--no-proxy-server",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
    driver = webdriver.Chrome(options=options, service=service)
    driver.set_page_load_timeout(120)
    try:
        yield driver
    finally:
        driver.quit()


def resize(driver: Any, size: tuple[int, int]) -> None:
    """Set the size of what is seen, also below the least width of a window."""
    width, height = size
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def theme(driver: Any, name: str) -> None:
    """Prefer the theme `light` or `dark`, as the system would."""
    features = [{"name": "prefers-color-scheme", "value": name}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def screenshot(driver: Any, file: Path) -> None:
    """Write what is seen as a PNG."""
    file.parent.mkdir(parents=True, exist_ok=True)
    driver.save_screenshot(str(file))
