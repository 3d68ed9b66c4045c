"""What changed state, from, to, why, who, when; and the one function that changes it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any

from django.db import models, transaction
from django.db.models.expressions import Combinable

from remediation.exceptions import HomeostatError
from remediation.models.incident import Incident
from remediation.models.prepared import Place, PreparedUpdate
from remediation.models.remediation import Remediation, RemediationTarget
from remediation.redact import redact, redacted_facts
from remediation.signals import moving, transitioned
from remediation.states import REMEDIATION_LIVE

HOMEOSTAT = "homeostat"
"""The actor when no person was involved."""


_moves: dict[object, PreparedUpdate] = {}
_let_go = PreparedUpdate(lambda given: RemediationTarget.objects.filter(remediation=given("remediation")), live=False)
_decide_anew = PreparedUpdate(
    lambda given: Incident.objects.filter(pk=given("incident"), state="firing", needs_person=False),
    decide_at=Place("now"),
)


class Transition(models.Model):
    """Append-only."""

    kind = models.CharField(max_length=20)
    object_id = models.BigIntegerField()
    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, null=True, related_name="transitions")
    from_state = models.CharField(max_length=20, blank=True)
    to_state = models.CharField(max_length=20)
    reason = models.TextField(blank=True)
    actor = models.CharField(max_length=150, default=HOMEOSTAT)
    at = models.DateTimeField()
    facts = models.JSONField(default=dict)

    class Meta:
        ordering = ["pk"]
        indexes = [models.Index(fields=["kind", "object_id"], name="transition_of")]

    def __str__(self) -> str:
        return f"{self.kind} {self.object_id}: {self.from_state or '·'} → {self.to_state}"


class IllegalMove(HomeostatError):
    """A move that the state machine does not have: a bug, not a race."""


def change(
    row: Incident | Remediation,
    to: str,
    *,
    now: datetime,
    reason: str,
    actor: str = HOMEOSTAT,
    facts: dict[str, Any] | None = None,
    where: dict[str, Any] | None = None,
    **fields: Any,
) -> bool:
    """Move a row to another state by compare-and-set and write the Transition, in one transaction.

    Returns False when another worker was quicker (the row is no longer in the state that the caller read, or `where`
    no longer holds); then nothing was written. `fields` are set in the same statement. Raises IllegalMove.
    """
    if to not in row.MOVES.get(row.state, ()):
        raise IllegalMove(f"{row.KIND} {row.pk} cannot go from {row.state} to {to}")
    fields |= {"state": str(to), "state_since": now}
    reason = redact(reason)
    if isinstance(row, Remediation):
        fields["reason"] = reason
        if to not in REMEDIATION_LIVE:
            fields |= {"ended_at": now, "due_at": None, "lease_until": None}
    with transaction.atomic():
        if not _compare_and_set(row, fields, where or {}):
            return False
        if isinstance(row, Remediation) and to not in REMEDIATION_LIVE:
            _let_go.run(remediation=row.pk)
            # What follows an end must not hang on a doorbell: the sweep finds this.
            _decide_anew.run(incident=row.incident_id, now=now)
        moving.send(type(row), row=row, to=str(to), now=now, reason=reason)
        record(row, to, now=now, reason=reason, actor=actor, facts=facts, from_state=row.state)
    for name, value in fields.items():
        setattr(row, name, value)
    return True


def _compare_and_set(row: Incident | Remediation, fields: dict[str, Any], where: dict[str, Any]) -> bool:
    """Each set of fields is another statement; there are some dozens of them."""
    kind = type(row)
    expressions = {name: value for name, value in fields.items() if isinstance(value, Combinable)}
    names = (kind, tuple(fields), tuple(where), repr(expressions))
    move = _moves.get(names)
    if move is None:
        sets = {name: expressions.get(name, Place(f"to_{name}")) for name in fields}
        move = _moves[names] = PreparedUpdate(
            lambda given: kind._default_manager.filter(
                pk=given("pk"), state=given("state"), **{name: given(f"if_{name}") for name in where}
            ),
            **sets,
        )
    values = {f"to_{name}": value for name, value in fields.items() if name not in expressions}
    values |= {f"if_{name}": value for name, value in where.items()}
    return bool(move.run(pk=row.pk, state=row.state, **values))


def record(
    row: models.Model,
    to: str,
    *,
    now: datetime,
    reason: str = "",
    actor: str = HOMEOSTAT,
    facts: dict[str, Any] | None = None,
    from_state: str = "",
) -> Transition:
    """Write one line of history: a state change, or something that happened to a row that has no states. Without
    secrets, whoever brings them along: it is never changed afterwards, and is exported."""
    incident = row if isinstance(row, Incident) else getattr(row, "incident", None)
    transition = Transition.objects.create(
        kind=str(getattr(row, "KIND", row._meta.model_name)),
        object_id=row.pk,
        incident=incident,
        from_state=from_state,
        to_state=to,
        reason=redact(reason),
        actor=actor,
        at=now,
        facts=redacted_facts(facts or {}),
    )
    transaction.on_commit(partial(transitioned.send, Transition, transition=transition))
    return transition


def record_all(lines: Sequence[tuple[Incident, str, str]], *, now: datetime) -> None:
    """Write many first lines of incidents at once: (incident, to, from), each with the incident's own reason."""
    rows = [
        Transition(
            kind=Incident.KIND,
            object_id=incident.pk,
            incident=incident,
            from_state=origin,
            to_state=to,
            reason=redact(incident.reason),
            at=now,
        )
        for incident, to, origin in lines
    ]
    for transition in Transition.objects.bulk_create(rows, batch_size=200):
        transaction.on_commit(partial(transitioned.send, Transition, transition=transition))
