"""Where the scenarios play: Homeostat's real processes on a home of their own, a real Prometheus, the shop, and a proxy
between the two."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from celery import Celery
from celery.exceptions import CeleryError
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.db import connection, connections
from kombu.exceptions import KombuError
from redis import RedisError

from dashboard import up, valkey
from dashboard.home import BASE_DIR
from dashboard.ports import free_port
from dashboard.processes import Child
from deploy.tools import find
from remediation.models import Incident, Rule, Service, Source
from remediation.states import REMEDIATION_LIVE, IncidentState
from tests.acceptance.running import Browser
from tests.faults.case import Case
from tests.faults.ledger import Row, read_ledger
from tests.faults.postgres import Postgres
from tests.faults.processes import Processes
from tests.faults.proxy import Proxy
from tests.faults.waiting import Unmet, eventually

OURS = ("web", "act", "evaluate", "beat")
"""Homeostat's own processes, beside Valkey."""


class Stage:
    """One installation, and what is around it in the folder `home`. `random` is the seed's."""

    def __init__(self, home: Path, *, seed: int, postgres: Postgres | None, doubled: bool = False) -> None:
        self.home, self.random, self.postgres = home, Random(seed), postgres
        self.ledger = home / "ledger"
        self.shop_port, self.prometheus_port = free_port(), free_port()
        self.installation = up.Installation.from_settings()
        self.url = f"http://127.0.0.1:{settings.HOMEOSTAT_PORT}"
        self.processes = Processes(self._children(doubled=doubled), home)
        self.proxy = Proxy(self.prometheus_port)
        self.cases: list[Case] = []  # of the scenario that is played
        self.notes: list[str] = []
        self._browsers: dict[str, Browser] = {}

    # --- the installation ---

    def start(self) -> None:
        valkey.make_private(self.installation.home / "run")
        call_command("migrate", interactive=False, verbosity=0)
        for name, group in (("ann", "approver"), ("ben", "approver"), ("olga", "operator")):
            User.objects.create_user(name, password="demo").groups.add(Group.objects.get(name=group))
        self.processes.start("shop", "prometheus", "valkey")
        self.processes.start(*OURS)

    def stop(self) -> None:
        connections.close_all()
        self.processes.stop()
        self.proxy.close()

    # --- around one scenario ---

    def opens(self) -> None:
        self.cases, self.notes = [], []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def mend(self) -> None:
        """What is broken is well, every episode ends with what was done for it, and nobody watches it any more."""
        self.proxy.set("pass")
        revived = self.processes.start_missing()
        if revived:
            raise Unmet(f"processes that ended by themselves: {revived}")
        self.control(*({"service": case.name} for case in self.cases))
        eventually("every episode is over", self._over, within_s=90)
        Rule.objects.filter(pk__in=[case.rule.pk for case in self.cases]).update(enabled=False)

    def closes_badly(self) -> None:
        """As much order as there can be for the next one."""
        connections.close_all()
        self.proxy.set("pass")
        if self.processes["act"].changed:
            self.processes["act"].stop()
        self.processes.start_missing()
        self.control(*({"service": case.name} for case in self.cases))
        Rule.objects.filter(pk__in=[case.rule.pk for case in self.cases]).update(enabled=False)

    def _over(self) -> bool:
        mine = Incident.objects.filter(rule__in=[case.rule for case in self.cases])
        unresolved = mine.exclude(state=IncidentState.RESOLVED).exists()
        return not (unresolved or mine.filter(remediations__state__in=REMEDIATION_LIVE).exists())

    # --- what is watched ---

    def source(self, *, proxied: bool = False, **fields: Any) -> Source:
        """Prometheus under another name, so that what one scenario makes of it says nothing of the others."""
        url = self.proxy.url if proxied else f"http://127.0.0.1:{self.prometheus_port}"
        name = f"source-{Source.objects.count() + 1}"
        wanted = {"stale_after_s": 4, "pull_alerts_s": 0, "timeout_s": 2} | fields
        return Source.objects.create(name=name, url=url, **wanted)

    def case(self, source: Source | None = None, **fields: Any) -> Case:
        """A service that is well, with its target, its rule and its playbook."""
        name = f"service-{Service.objects.count() + 1}"
        self.control({"service": name})
        self.cases.append(Case.make(self, source or self.source(), name, **fields))
        return self.cases[-1]

    def seen_well(self, *cases: Case) -> None:
        """Homeostat has seen each of them well."""
        for case in cases:
            eventually(f"{case.name} is seen well", case.seen_well)

    # --- the shop ---

    def control(self, *changes: dict[str, Any]) -> None:
        self.request("POST", f"http://127.0.0.1:{self.shop_port}/control", list(changes))

    def effects(self, *cases: Case) -> list[Row]:
        names = {case.name for case in cases}
        return [line for line in read_ledger(self.ledger) if line["kind"] == "effect" and line["service"] in names]

    # --- what others do ---

    def prometheus(self, query: str) -> float | None:
        """What Prometheus itself says, past the proxy."""
        asked = urllib.parse.urlencode({"query": query})
        text = self.request("GET", f"http://127.0.0.1:{self.prometheus_port}/api/v1/query?{asked}")[1]
        result = json.loads(text)["data"]["result"]
        return float(result[0]["value"][1]) if result else None

    def request(self, method: str, url: str, body: Any = None, **headers: str) -> tuple[int, str]:
        """Status and text. Raises OSError when nobody answers."""
        content = None if body is None else json.dumps(body).encode()
        asked = urllib.request.Request(  # noqa: S310 - our own addresses
            url, data=content, method=method, headers={"Content-Type": "application/json", **headers}
        )
        try:
            with urllib.request.urlopen(asked, timeout=60) as answer:  # noqa: S310 - as above
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def ready(self) -> tuple[int, dict[str, str]]:
        """What a load balancer sees: the status, and the reasons."""
        status, text = self.request("GET", f"{self.url}/-/ready")
        return status, json.loads(text)["reasons"]

    def browser(self, name: str) -> Browser:
        if name not in self._browsers:
            self._browsers[name] = Browser(self.url, name)
        return self._browsers[name]

    # --- the processes ---

    def _children(self, *, doubled: bool) -> list[Child]:
        ours = [_watched(child) for child in up.homeostat_children(self.installation)]
        if doubled:
            ours = [_doubling(child) if child.name == "act" else child for child in ours]
        embedded = replace(valkey.child(self.installation.home), stop_within_s=5)
        return [self._shop(), self._prometheus(), embedded, *ours]

    def _shop(self) -> Child:
        argv = [sys.executable, "-m", "tests.faults.shop", str(self.ledger), str(self.shop_port)]
        return Child(name="shop", argv=argv, cwd=BASE_DIR, ready=lambda: bool(self._answers(self.shop_port, "/")))

    def _prometheus(self) -> Child:
        config = self.home / "prometheus.yml"
        config.write_text(
            "global: {scrape_interval: 1s, scrape_timeout: 900ms, evaluation_interval: 1s}\n"
            f"scrape_configs: [{{job_name: shop, static_configs: [{{targets: ['127.0.0.1:{self.shop_port}']}}]}}]\n"
        )
        argv = [str(find("prometheus")), f"--config.file={config}", f"--storage.tsdb.path={self.home / 'tsdb'}"]
        argv += [f"--web.listen-address=127.0.0.1:{self.prometheus_port}", "--log.level=warn"]
        return Child(name="prometheus", argv=argv, ready=lambda: self._answers(self.prometheus_port, "/-/ready"))

    def _answers(self, port: int, path: str) -> bool:
        return self.request("GET", f"http://127.0.0.1:{port}{path}")[0] == 200

    @property
    def where(self) -> str:
        return connection.vendor


def _watched(child: Child) -> Child:
    """With a question for workers that rests on no connection from before their broker was killed."""
    if "--hostname" in child.argv:
        node = child.argv[child.argv.index("--hostname") + 1]
        child = replace(child, ready=lambda: _worker_answers(node))
    return replace(child, stop_within_s=20)


def _worker_answers(node: str) -> bool:
    with Celery("harness", broker=settings.CELERY_BROKER_URL, set_as_current=False) as app:
        try:
            return bool(app.control.ping(destination=[node], timeout=1, limit=1))
        except (CeleryError, KombuError, RedisError):
            return False


def _doubling(child: Child) -> Child:
    """The act worker, broken on purpose: see broken.py."""
    return replace(child, argv=["tests.faults.broken" if word == "celery" else word for word in child.argv])
