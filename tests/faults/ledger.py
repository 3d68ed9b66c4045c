"""What the world did, and what the database says of it: plain rows, read at one moment, for the oracle to compare."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.db import connection, transaction

from remediation import models as m

Row = dict[str, Any]


@dataclass(kw_only=True)
class Record:
    """effects: at, service, key. health: at, service, up. The others are rows of the tables of that name. Times are
    seconds since the epoch."""

    now: float
    effects: list[Row] = field(default_factory=list)
    health: list[Row] = field(default_factory=list)
    remediations: list[Row] = field(default_factory=list)
    incidents: list[Row] = field(default_factory=list)
    transitions: list[Row] = field(default_factory=list)
    approvals: list[Row] = field(default_factory=list)
    freezes: list[Row] = field(default_factory=list)
    decisions: list[Row] = field(default_factory=list)
    holds: list[Row] = field(default_factory=list)


def read_ledger(path: Path) -> list[Row]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]


def read(path: Path) -> Record:
    """The database as it is at one moment, and the ledger up to then: an effect is in the ledger before anything is
    reported of it, so that what the database knows of is in what is read."""
    with transaction.atomic():
        if connection.vendor == "postgresql":
            connection.cursor().execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        return _read(path)


def _read(path: Path) -> Record:
    now = time.time()
    remediations = _rows(
        m.Remediation,
        *("id", "incident_id", "incident__service__name", "state", "state_since", "key", "fence", "autonomy", "digest"),
        *("approvals_needed", "effect_started_at"),
    )
    incidents = _rows(
        m.Incident,
        "id",
        "rule_id",
        "rule__detector",
        "fingerprint",
        "state",
        "fired_at",
        "resolved_at",
        "service__name",
    )
    transitions = _rows(m.Transition, "id", "kind", "object_id", "from_state", "to_state", "at", "facts")
    approvals = _rows(m.Approval, "remediation_id", "user_id", "answer", "digest", "at")
    freezes = _rows(m.Freeze, "id", "service__name", "at", "until", "lifted_at")
    decisions = _rows(m.Decision, "id", "incident_id", "outcome", "closed_at")
    holds = _rows(m.RemediationTarget, "remediation_id", "target_id", "live")
    lines = [line for line in read_ledger(path) if line["at"] <= now]
    return Record(
        now=now,
        effects=[line for line in lines if line["kind"] == "effect"],
        health=[line for line in lines if line["kind"] == "health"],
        remediations=remediations,
        incidents=incidents,
        transitions=transitions,
        approvals=approvals,
        freezes=freezes,
        decisions=decisions,
        holds=holds,
    )


def _rows(model: Any, *names: str) -> list[Row]:
    return [{name: _plain(value) for name, value in row.items()} for row in model.objects.order_by("pk").values(*names)]


def _plain(value: Any) -> Any:
    if hasattr(value, "timestamp"):
        return value.timestamp()
    return str(value) if hasattr(value, "hex") and not isinstance(value, float | int) else value
