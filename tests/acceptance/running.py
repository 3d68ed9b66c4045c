"""A demo that runs for the tests: started as a user starts it, looked at over HTTP, Prometheus and its database."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).resolve().parents[2]
STARTS_WITHIN_S = 120


def eventually(what: str, look: Callable[[], Any], *, within_s: float, every_s: float = 0.3) -> Any:
    """The first truthy answer of `look`. Fails with what was waited for and the last answer."""
    deadline = time.monotonic() + within_s
    answer: Any = None
    while time.monotonic() < deadline:
        answer = look()
        if answer:
            return answer
        time.sleep(every_s)
    raise AssertionError(f"not within {within_s:.0f} s: {what}; last seen: {answer!r}")


@dataclass
class RunningDemo:
    """One demo in a home of its own."""

    port: int
    home: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="hs-demo-")))
    process: subprocess.Popen[bytes] | None = None
    viewer: Browser | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return (self.home / "demo.log").read_text(errors="replace")

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {"HOMEOSTAT_HOME": str(self.home), "HOMEOSTAT_PORT": str(self.port), "HOMEOSTAT_DEMO": "1"}

    def start(self) -> None:
        with (self.home / "demo.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / "manage.py"), "demo", "--with-parent"],
                env=self.environment,
                cwd=ROOT,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            eventually("the demo is ready", self.ready, within_s=STARTS_WITHIN_S)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log[-4000:]}") from None

    def ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"the demo ended:\n{self.log[-4000:]}"
        try:
            return bool(json.loads((self.home / "run" / "up.json").read_text())["ready"])
        except (OSError, ValueError, KeyError):
            return False

    def stop(self, signum: int = signal.SIGTERM) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signum)
            self.process.wait(timeout=60)

    def remove(self) -> None:
        shutil.rmtree(self.home, ignore_errors=True)

    # --- what a second terminal does ---

    def manage(self, *argv: str) -> str:
        done = subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), *argv],
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{argv}: {done.stderr}"
        return done.stdout

    def incidents(self, alertname: str) -> list[dict[str, Any]]:
        """The incidents of a rule, newest first, as the API gives them."""
        if self.viewer is None:
            self.viewer = self.sign_in("viewer")
        rows: list[dict[str, Any]] = self.viewer.get("/api/incidents.json").json()
        return [row for row in rows if row["alertname"] == alertname]

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Read the database itself, past all of our code."""
        connection = sqlite3.connect(f"file:{self.home / 'homeostat.sqlite3'}?mode=ro", uri=True, timeout=20)
        try:
            return connection.execute(query, values).fetchall()
        finally:
            connection.close()

    # --- what Prometheus says ---

    @property
    def addresses(self) -> dict[str, str]:
        addresses: dict[str, str] = json.loads((self.home / "demo" / "demo.json").read_text())["addresses"]
        return addresses

    def prometheus(self, query: str) -> dict[str, float]:
        """Values by the label `target` (empty where there is none)."""
        url = f"{self.addresses['prometheus_url']}/api/v1/query"
        answer = requests.get(url, params={"query": query}, timeout=10).json()
        result = answer["data"]["result"]
        return {series["metric"].get("target", ""): float(series["value"][1]) for series in result}

    # --- what a browser does ---

    def sign_in(self, name: str) -> Browser:
        return Browser(self.url, name)


class Browser:
    """A person with a session, without JavaScript."""

    def __init__(self, url: str, name: str) -> None:
        self.url = url
        self.session = requests.Session()
        answer = self.post("/login/", username=name, password="demo", form="/login/")
        assert answer.status_code == 200, answer.status_code
        assert "/login/" not in answer.url, "signing in failed"

    def get(self, path: str) -> requests.Response:
        return self.session.get(f"{self.url}{path}", timeout=20)

    def post(self, path: str, *, form: str = "/approvals/", **fields: str) -> requests.Response:
        """Submit a form as a browser does: with the CSRF token of the page that shows it."""
        self.get(form)
        fields["csrfmiddlewaretoken"] = self.session.cookies.get("homeostat_csrf") or ""
        return self.session.post(f"{self.url}{path}", data=fields, headers={"Referer": f"{self.url}{form}"}, timeout=20)

    def approve(self, remediation_id: int) -> requests.Response:
        """Approve what the approvals page shows, with the digest it shows."""
        page = self.get("/approvals/").text
        found = re.search(
            rf'action="/approvals/{remediation_id}/approve/".*?name="digest" value="([0-9a-f]{{64}})"', page, re.S
        )
        assert found, f"no card for remediation {remediation_id}:\n{page[:2000]}"
        return self.post(f"/approvals/{remediation_id}/approve/", digest=found[1])
