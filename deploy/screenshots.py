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
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from dashboard.ports import free_port
from deploy.tools import find

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs" / "pictures"
OTHERS = ROOT / "var" / "pictures"
KEPT = (
    *("overview-dark", "overview-light", "overview-dark-phone", "map-dark", "incident-dark", "incident-dark-phone"),
    *("approvals-light", "approvals-dark-phone", "rule-light", "backtest-light", "playbook-dark", "analytics-light"),
    *("palette-dark", "overview-light-wide"),
)
"""Those that the documentation shows are in the repository; the others are for looking at."""
SIZES = {"": (1280, 800), "phone": (375, 812), "wide": (1920, 1080)}
TALLEST = 1400
"""Pixels of a picture in the documentation; a longer page is cut there."""
COLOURS = 256
WATCHED = "AppErrors"
"""The rule whose page and backtest are looked at."""
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
    home = Path(tempfile.mkdtemp(prefix="homeostat-"))
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


def repairs(demo: Demo, state: str) -> list[int]:
    """Incidents with a repair in this state, the newest first."""
    return [int(one["id"]) for one in demo.incidents() if any(r["state"] == state for r in one["remediations"])]


def break_things(demo: Demo, page: Page) -> tuple[int, int]:
    """One repair done by itself, one after a person approved it, and one that waits. Returns the incidents of the last
    two: verified, waiting."""
    time.sleep(20)
    demo.manage("demo", "break", "crash")
    wait("the crash is repaired", lambda: repairs(demo, "verified"), 90)
    demo.manage("demo", "break", "errors")
    (asked, *_) = wait("somebody is asked about the errors", lambda: repairs(demo, "awaiting_approval"), 120)
    page.goto(f"{demo.url}/incidents/{asked}/")
    page.get_by_role("button", name="Approve").first.click()
    wait("the errors are gone", lambda: asked in repairs(demo, "verified"), 120)
    demo.manage("demo", "break", "latency")
    (waiting, *_) = wait("somebody is asked about the latency", lambda: repairs(demo, "awaiting_approval"), 120)
    return asked, waiting


def backtest(demo: Demo, page: Page) -> tuple[str, str]:
    """Paths of a rule and of a finished backtest of it."""
    page.goto(f"{demo.url}/rules/")
    page.get_by_role("link", name=WATCHED, exact=True).first.click()
    page.wait_for_url("**/rules/*/")
    rule = page.url.removeprefix(demo.url)
    page.goto(f"{demo.url}{rule}backtest/")
    page.locator('.choice:has(input[name="range"])').first.click()
    page.get_by_role("button", name="Run backtest").click()
    page.wait_for_url("**/backtests/*/")
    page.locator("#episodes-title").wait_for(timeout=120_000)
    return rule, page.url.removeprefix(demo.url)


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
                if name == "palette":
                    page.keyboard.press("Control+k")
                    page.wait_for_timeout(500)
                keep(page, "-".join(filter(None, (name, scheme, size))), whole=size == "" and name != "palette")
            context.close()


def keep(page: Page, name: str, *, whole: bool) -> None:
    """Those of the documentation in few colours: they are in the repository, and made anew often."""
    if name not in KEPT:
        page.screenshot(path=OTHERS / f"{name}.png", full_page=whole)
        return
    with Image.open(BytesIO(page.screenshot(full_page=whole))) as taken:
        cut = taken.convert("RGB").crop((0, 0, taken.width, min(taken.height, TALLEST)))
    cut.quantize(COLOURS, kmeans=2).save(PICTURES / f"{name}.png", optimize=True)
    print(f"  docs/pictures/{name}.png")


def main() -> None:
    for folder in (PICTURES, OTHERS):
        folder.mkdir(parents=True, exist_ok=True)
    with running_demo() as demo, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(find("chromium")), args=CHROMIUM)
        page = browser.new_page()
        sign_in(page, demo.url)
        verified, waiting = break_things(demo, page)
        rule, result = backtest(demo, page)
        page.close()
        take(
            browser,
            demo,
            {
                "overview": "/",
                "map": "/?view=map",
                "palette": "/",
                "incidents": "/incidents/?state=all",
                "incident": f"/incidents/{waiting}/",
                "incident-verified": f"/incidents/{verified}/",
                "approvals": "/approvals/",
                "service": "/services/web/",
                "rules": "/rules/",
                "rule": rule,
                "backtest": result,
                "playbooks": "/playbooks/",
                "playbook": "/playbooks/1/",
                "analytics": "/analytics/",
                "audit": "/audit/",
                "system": "/system/",
                "break": "/demo/",
                "styleguide": "/styleguide/",
                "first-run": "/first-run/",
                "admin": "/admin/",
                "admin-rule": f"/admin/remediation/rule/{rule.strip('/').rpartition('/')[2]}/change/",
            },
        )
        browser.close()


if __name__ == "__main__":
    main()
