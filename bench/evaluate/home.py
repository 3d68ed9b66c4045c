"""A fresh installation for one part: SQLite as in production, a Valkey for doorbells, rules, one tick of them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.evaluate.exporter import LIMIT, METRIC
from dashboard.ports import free_port
from dashboard.processes import Family
from deploy.tools import find


@contextmanager
def installation() -> Iterator[tuple[Path, Family]]:
    """A home of its own with an empty database, and the family that its processes belong to."""
    prometheus = str(find("prometheus"))
    home = Path(tempfile.mkdtemp(prefix="hs-bench-"))
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "dashboard.settings",
        "HOMEOSTAT_HOME": str(home),
        "HOMEOSTAT_PORT": str(free_port()),
        "HOMEOSTAT_LOG_LEVEL": "ERROR",
        "HOMEOSTAT_PROMETHEUS_BIN": prometheus,
    }
    for name in ("HOMEOSTAT_REDIS_URL", "DATABASE_URL", "PROMETHEUS_URL"):
        os.environ.pop(name, None)
    try:
        import django

        django.setup()
        from dashboard import up

        with Family() as family:
            up.claim(family, up.Installation.from_settings())
            up.prepare(family, hints=False)
            yield home, family
    finally:
        shutil.rmtree(home, ignore_errors=True)


def start_valkey(home: Path, family: Family) -> None:
    """Doorbells cost what they cost with a broker; nobody answers them."""
    from dashboard import valkey

    family.start(valkey.child(home))
    family.afterwards(lambda: valkey.socket_path(home).unlink(missing_ok=True))


def make_source(name: str, url: str, **fields: Any) -> Any:
    from remediation.models import Source

    return Source.objects.create(name=name, url=url, pull_alerts_s=0, **fields)


def make_rules(source: Any, count: int, *, interval_s: float, name: str = "Bench", **fields: Any) -> list[int]:
    """Rules `name`0, `name`1, ...; the query and the names of further fields may hold {n}. Returns their ids."""
    from django.utils import timezone

    from remediation.models import Rule

    threshold = {"detector": "threshold", "params": {"op": ">", "value": LIMIT}}
    fields = {"query": METRIC + '{{rule="{n}"}}', **threshold, **fields}
    query = str(fields.pop("query"))
    rows = []
    for n in range(count):
        row = Rule(name=f"{name}{n}", source=source, query=query.format(n=n), interval_s=interval_s, **fields)
        row.save()
        row.keep_version(author="bench", now=timezone.now())
        rows.append(row.pk)
    return rows


def tick(rule_ids: list[int], *, now: datetime) -> int:
    """Evaluate all rules once in their slot, as a worker does. Returns how many were."""
    from remediation import loop

    many = getattr(loop, "evaluate_many", None)
    if many is not None:
        return int(many(rule_ids, now=now))
    return sum(loop.evaluate(pk, now=now) for pk in rule_ids)


def errors() -> list[str]:
    """What rules say that went wrong with them."""
    from remediation.models import RuleStatus

    found = RuleStatus.objects.exclude(error="").values_list("rule__name", "error")
    return [f"rule {name}: {error}" for name, error in found[:5]]


def seen_bad(label: str = "series") -> set[tuple[str, str]]:
    """(rule, value of the label) of every series that is judged bad."""
    from remediation.models import SeriesState

    rows = SeriesState.objects.filter(verdict="bad").values_list("rule__name", "labels")
    return {(name, labels.get(label, "")) for name, labels in rows}


def incidents_firing(label: str = "series") -> set[tuple[str, str]]:
    """(rule, value of the label) of every incident that fires."""
    from remediation.models import Incident

    rows = Incident.objects.filter(state="firing").values_list("rule__name", "series_labels")
    return {(name, labels.get(label, "")) for name, labels in rows}
