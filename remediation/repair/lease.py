"""A claim that lives: each call's own intent and end, and the sign of life while it runs."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from django.db import DatabaseError, connection, transaction
from django.db.models import QuerySet

from remediation import conf
from remediation.act.execution import Carried
from remediation.decide.guards.base import Situation, ask_all, refusals
from remediation.draining import is_draining
from remediation.models import Place, PreparedUpdate, Remediation, RemediationTarget, Target
from remediation.repair.claim import lock, reread
from remediation.repair.timing import lease_from
from remediation.states import RemediationState as R

log = logging.getLogger(__name__)

LOST = "this worker's time was over"
ENDS = "the worker is being stopped"


_renew = PreparedUpdate(
    lambda given: Remediation.objects.filter(
        pk=given("pk"), state=given("state"), fence=given("fence"), lease_until__gt=given("now")
    ),
    lease_until=Place("lease"),
    due_at=Place("lease"),
)
_begin = PreparedUpdate(
    lambda given: RemediationTarget.objects.filter(remediation=given("remediation"), target=given("target")),
    effect_started_at=Place("now"),
)
_done = PreparedUpdate(
    lambda given: RemediationTarget.objects.filter(
        remediation=given("remediation"),
        target=given("target"),
        remediation__fence=given("fence"),
        remediation__state=given("state"),
        remediation__lease_until__gt=given("now"),
    ),
    effect_ended_at=Place("ended"),
    output=Place("output"),
)


@dataclass(frozen=True, kw_only=True)
class Lease:
    """One claim, by its fencing number. clock: says what time it is."""

    row: Remediation
    fence: int
    state: R
    clock: Callable[[], datetime]

    @property
    def timeout_s(self) -> float:
        return float(self.row.plan["step"]["timeout_s"])

    def renew(self) -> bool:
        """Give a sign of life. False when the claim is lost: somebody declared it so, or its time has passed."""
        now = self.clock()
        lease = lease_from(now, timeout_s=self.timeout_s)
        return bool(_renew.run(pk=self.row.pk, state=self.state, fence=self.fence, now=now, lease=lease))

    def begin(self, target: Target, *, first: bool) -> str:
        """Commit the intent of one call. Why it must not begin; empty when it may.

        Every further call is an effect like the first: freeze and guards are asked in the transaction that commits it.
        (The first one's were asked when the remediation was claimed.)
        """
        if not first and is_draining():
            return ENDS
        with transaction.atomic():
            if not first and (refused := self._refused()):
                return f"held: {refused}"
            if not self.renew():
                return LOST
            _begin.run(remediation=self.row.pk, target=target.pk, now=self.clock())
        return ""

    def _refused(self) -> str:
        lock(self.row)
        reread(self.row.incident)
        situation = Situation(now=self.clock(), incident=self.row.incident, remediation=self.row)
        return refusals(ask_all(situation))

    def end(self, target: Target, carried: Carried) -> None:
        """Write what came of one call, unless the claim is lost: then a probe decides, not this worker."""
        now = self.clock()
        mine = self._hold(target).filter(
            remediation__fence=self.fence, remediation__state=self.state, remediation__lease_until__gt=now
        )
        match carried.outcome:
            case "done":
                _done.run(
                    remediation=self.row.pk,
                    target=target.pk,
                    fence=self.fence,
                    state=self.state,
                    now=now,
                    ended=now,
                    output=carried.output,
                )
            case "not_started":
                mine.update(effect_started_at=None, output=carried.output)
            case "unknown":
                mine.update(output=carried.output)

    def _hold(self, target: Target) -> QuerySet[RemediationTarget]:
        return RemediationTarget.objects.filter(remediation=self.row, target=target)

    @contextmanager
    def beating(self) -> Iterator[None]:
        """Signs of life from a thread while one call runs: for as long as a call may take, and no longer, so that one
        that hangs beyond its deadline is noticed."""
        over = threading.Event()
        thread = threading.Thread(target=self._beat, args=(over,), daemon=True, name=f"lease-{self.row.pk}")
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(timeout=2)  # it may be waiting for a database that is locked

    def _beat(self, over: threading.Event) -> None:
        ends = time.monotonic() + self.timeout_s
        try:
            while not over.wait(conf.HEARTBEAT_S) and time.monotonic() < ends:
                try:
                    if not self.renew():
                        return
                except DatabaseError as error:
                    log.warning("no sign of life for remediation %s (%s)", self.row.pk, type(error).__name__)
        finally:
            connection.close()  # each thread has its own
