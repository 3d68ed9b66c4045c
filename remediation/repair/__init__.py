"""The life of one remediation: gate, claim, effect, verify, and where it made it worse, undo."""

from __future__ import annotations

from datetime import datetime, timedelta

from remediation import conf
from remediation.doorbell import ring_after_commit
from remediation.models import Remediation, change
from remediation.repair import effect, gate, proof, undo
from remediation.repair.timing import LONGEST_WAIT, SHORT_WAITS, again_at
from remediation.states import BEFORE_EFFECT, Autonomy, IncidentState
from remediation.states import RemediationState as R

__all__ = ["LONGEST_WAIT", "SHORT_WAITS", "act", "advance"]


def act(row: Remediation, *, now: datetime) -> None:
    """Carry out what was rung for: the effect of one that is ready, or the undo of one that made it worse."""
    if row.state == R.ROLLING_BACK:
        undo.act(row, now=now)
    else:
        effect.act(row, now=now)


def advance(row: Remediation, *, now: datetime) -> None:
    """Move a live remediation as far as it can go now. Safe to call at any time, any number of times."""
    if row.state in BEFORE_EFFECT and row.incident.state == IncidentState.RESOLVED:
        change(row, R.SELF_RECOVERED, now=now, reason="the condition ended before anything was done")
        return
    match R(row.state):
        case R.PLANNED if row.autonomy == Autonomy.SHADOW:
            gate.shadow(row, now=now)
        case R.PLANNED | R.GATED:
            gate.gate(row, now=now)
        case R.AWAITING_APPROVAL:
            gate.await_person(row, now=now)
        case R.READY:
            if again_at(row, timedelta(seconds=conf.GATE_RECHECK_S), now=now):
                ring_after_commit("act", remediation_id=row.pk)
        case R.EXECUTING:
            effect.overdue(row, now=now)
        case R.UNKNOWN:
            effect.probe(row, now=now)
        case R.VERIFYING:
            proof.verify(row, now=now)
        case R.ROLLING_BACK:
            undo.advance(row, now=now)
        case _:
            return
