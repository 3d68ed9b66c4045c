"""Makes the pictures in docs/pictures, and more in var/pictures, anew: starts a demo, breaks it, looks.

Run: make screenshots. The demo is its own, in a temporary home on free ports, and is stopped at the end.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from dashboard.ports import free_port
from deploy.tools import find

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs" / "pictures"
OTHERS = ROOT / "var" / "pictures"
KEPT = ("overview-dark", "overview-light", "incident-dark", "approvals-light", "overview-dark-phone")
"""Those that the documentation shows are in the repository; the others are for looking at."""
SIZES = {"wide": (1280, 800), "phone": (375, 812)}
CHROMIUM = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


class Demo:
    """A demo of our own and what a second terminal does with it."""

    def __init__(self, home: Path, port: int) -> None:
        self.home, self.url = home, f"http://127.0.0.1:{port}"
        self.env = os.environ | {"HOMEOSTAT_HOME": str(home), "HOMEOSTAT_PORT": str(port), "HOMEOSTAT_DEMO": "1"}

    def manage(self, *argv: str) -> str:
        command = [sys.executable, str(ROOT / "manage.py"), *argv]
        return subprocess.run(command, env=self.env, cwd=ROOT, check=True, capture_output=True, text=True).stdout

    def incidents(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = json.loads(self.manage("incidents", "--json"))
        return rows

    def healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=2) as answer:  # noqa: S310 - our own address
                return bool(answer.status == 200)
        except OSError:
            return False


def wait(what: str, look: Callable[[], Any], within_s: float) -> Any:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        answer = look()
        if answer:
            return answer
        time.sleep(0.5)
    raise SystemExit(f"not within {within_s:.0f} s: {what}")


@contextmanager
def running_demo() -> Iterator[Demo]:
    home = Path(tempfile.mkdtemp(prefix="hs-pictures-"))
    demo = Demo(home, free_port())
    with (home / "demo.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), "demo", "--with-parent"],
            env=demo.env,
            cwd=ROOT,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        wait("the demo is ready", demo.healthy, 120)
        yield demo
    finally:
        process.terminate()
        process.wait(60)
        shutil.rmtree(home, ignore_errors=True)


def break_things(demo: Demo) -> int:
    """One repair that is done and one that waits for a person. Returns the id of the incident that waits."""
    time.sleep(20)
    demo.manage("demo", "break", "crash")
    wait(
        "the crash is repaired",
        lambda: any(r["state"] == "verified" for i in demo.incidents() for r in i["remediations"]),
        90,
    )
    demo.manage("demo", "break", "latency")
    asks = "awaiting_approval"
    waiting = wait(
        "somebody is asked",
        lambda: [i for i in demo.incidents() if any(r["state"] == asks for r in i["remediations"])],
        120,
    )
    time.sleep(15)
    return int(waiting[0]["id"])


def sign_in(page: Page, url: str) -> None:
    page.goto(f"{url}/login/")
    page.get_by_label("User name").fill("admin")
    page.get_by_label("Password").fill("demo")
    page.get_by_label("Password").press("Enter")
    page.wait_for_url(f"{url}/")


def take(browser: Browser, demo: Demo, pages: dict[str, str]) -> None:
    for scheme in ("dark", "light"):
        for size, (width, height) in SIZES.items():
            context = browser.new_context(
                viewport={"width": width, "height": height}, color_scheme="dark" if scheme == "dark" else "light"
            )
            page = context.new_page()
            sign_in(page, demo.url)
            for name, path in pages.items():
                page.goto(f"{demo.url}{path}")
                page.wait_for_timeout(1500)  # the chart draws, the first live update arrives
                suffix = scheme if size == "wide" else f"{scheme}-phone"
                path_to = (PICTURES if f"{name}-{suffix}" in KEPT else OTHERS) / f"{name}-{suffix}.png"
                page.screenshot(path=path_to, full_page=size == "wide")
                print(f"  {path_to.relative_to(ROOT)}")
            context.close()


def main() -> None:
    for folder in (PICTURES, OTHERS):
        folder.mkdir(parents=True, exist_ok=True)
    with running_demo() as demo, sync_playwright() as playwright:
        incident = break_things(demo)
        browser = playwright.chromium.launch(executable_path=str(find("chromium")), args=CHROMIUM)
        pages = {
            "overview": "/",
            "incident": f"/incidents/{incident}/",
            "approvals": "/approvals/",
            "service": "/services/web/",
            "rules": "/rules/",
            "system": "/system/",
            "break": "/demo/",
        }
        take(browser, demo, pages)
        browser.close()


if __name__ == "__main__":
    main()
