"""Invariants 4 and 9: what is in rows, and what the webhook stores."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest

from remediation import breakers, conf, doorbell
from remediation.decide import approval, freeze
from remediation.decide.guards.base import Answer, Situation
from remediation.decide.guards.breaker import BreakerGuard
from remediation.decide.guards.freeze import FreezeGuard
from remediation.models import Approval, Freeze, Remediation
from remediation.states import RemediationState as R
from tests.broken.variant import Clause, Variant, edit

HARD = "tests/remediation/test_hard_cases.py::"
ANEW = "tests/remediation/test_invariant_anew.py::"
WEBHOOK = "tests/remediation/test_invariant_webhook.py::"
STORE = "remediation.observe.alert_rows:store"


def breakers_are_kept_in_the_process(patch: pytest.MonkeyPatch) -> None:
    bad: dict[int, int] = defaultdict(int)

    def feed(row: Remediation, to: str, **_: Any) -> None:
        bad[row.playbook_id] = 0 if to == R.VERIFIED else bad[row.playbook_id] + 1

    def ask(self: BreakerGuard, situation: Situation) -> Answer:
        count = bad[situation.remediation.playbook_id]
        said = situation.remediation.reason.removeprefix("Circuit breaker: ") or "open"
        return Answer(passed=count < conf.BREAKER_OPENS_AFTER, reason=said)

    patch.setattr(breakers, "feed", feed)
    patch.setattr(BreakerGuard, "ask", ask)


def signatures_are_kept_in_the_process(patch: pytest.MonkeyPatch) -> None:
    given: dict[int, list[Approval]] = defaultdict(list)

    def keep(row: Remediation, *, user: Any, answer: str, digest: str, reason: str, now: Any) -> None:
        kept = Approval(remediation=row, user=user, answer=answer, digest=digest, reason=reason, at=now)
        given[row.pk].append(kept)

    patch.setattr(approval, "_keep", keep)
    patch.setattr(approval, "signatures", lambda row: given[row.pk])


def freezes_are_kept_in_the_process(patch: pytest.MonkeyPatch) -> None:
    held: list[Freeze] = []

    def stop(*, service: Any, reason: str, by: str, until: Any, now: Any) -> Freeze:
        held.append(Freeze(service=service, reason=reason, by=by, until=until, at=now))
        return held[-1]

    def ask(self: FreezeGuard, situation: Situation) -> Answer:
        mine = [one for one in held if one.service_id in (None, situation.incident.service_id)]
        active = [one for one in mine if one.until is None or one.until > situation.now]
        return Answer(passed=not active, reason=f"frozen {active[0]}" if active else "not frozen")

    patch.setattr(freeze, "freeze", stop)
    patch.setattr(FreezeGuard, "ask", ask)


def nobody_looks_after_an_end(patch: pytest.MonkeyPatch) -> None:
    """As if what follows an end hung on its doorbell."""
    change = "remediation.models.transition:change"
    forget = "Incident.objects.filter(pk=getattr(row, 'incident_id', None)).update(decide_at=None)"
    edit(change, "moving.send(", f"{forget}\n        moving.send(")(patch)


def a_bell_that_fails_is_our_failure(patch: pytest.MonkeyPatch) -> None:
    edit("dashboard.api.ingest:alertmanager", "log.exception(", "raise\n        log.exception(")(patch)


def bells_are_not_rung(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(doorbell, "ring", lambda task, **ids: False)


ROWS = (
    Clause(
        number=4,
        says="killing every process loses no cooldown, budget, breaker, approval, freeze, lease or timer",
        held_by=("remediation/models/", "remediation/decide/guards/"),
        node=f"{ANEW}test_a_process_that_is_started_anew_goes_on_as_one_that_was_never_killed",
        variants=(
            Variant(name="breakers are kept in the process", breaks=breakers_are_kept_in_the_process),
            Variant(name="signatures are kept in the process", breaks=signatures_are_kept_in_the_process),
            Variant(name="freezes are kept in the process", breaks=freezes_are_kept_in_the_process),
        ),
    ),
    Clause(
        number=4,
        says="killed between an end and what it means for the breaker, both are gone",
        held_by=("remediation/models/transition.py", "remediation/breakers.py"),
        node="tests/remediation/test_breakers.py::test_end_and_breaker_are_written_together_or_not_at_all",
        variants=(
            Variant(
                name="an end is committed before the breaker hears of it",
                breaks=edit("remediation.models.transition:change", "with transaction.atomic():", "if True:"),
            ),
        ),
    ),
    Clause(
        number=4,
        says="a doorbell that is lost with its worker loses nothing",
        held_by=("remediation/models/transition.py", "remediation/loop.py"),
        node=f"{HARD}test_end_whose_bell_was_lost_is_found_by_the_sweep",
        variants=(Variant(name="what follows an end hangs on its bell", breaks=nobody_looks_after_an_end),),
    ),
)
ALERTS = (
    Clause(
        number=9,
        says="2xx once stored, whatever happens next",
        held_by=("dashboard/api/ingest.py",),
        node=f"{WEBHOOK}test_what_breaks_after_it_is_stored_is_no_failure",
        variants=(
            Variant(name="a bell that fails is our failure", breaks=a_bell_that_fails_is_our_failure, quick=True),
        ),
    ),
    Clause(
        number=9,
        says="and only then",
        held_by=("dashboard/api/ingest.py",),
        node=f"{WEBHOOK}test_what_is_not_stored_is_asked_for_again",
        variants=(
            Variant(
                name="what was not stored is acknowledged",
                breaks=edit("dashboard.api.ingest:alertmanager", "_refused(503", "_refused(200"),
            ),
        ),
    ),
    Clause(
        number=9,
        says="idempotent: the same again is stored once and rung for once",
        held_by=("remediation/observe/alert_rows.py",),
        node=f"{WEBHOOK}test_the_same_again_is_stored_once_and_told_once",
        variants=(
            Variant(
                name="what was seen is told again",
                breaks=edit(STORE, "if _update(row, item, now=now, pulled=pulled):", "if True:"),
            ),
            Variant(name="nothing is told", breaks=bells_are_not_rung),
        ),
    ),
    Clause(
        number=9,
        says="on the status: in any order, what is over stays over",
        held_by=("remediation/observe/alert_rows.py",),
        node=f"{WEBHOOK}test_in_any_order_what_is_over_stays_over",
        variants=(
            Variant(
                name="the last message wins",
                breaks=edit("remediation.observe.alert_rows:_update", "if row.status == RESOLVED:", "if False:"),
            ),
        ),
    ),
    Clause(
        number=9,
        says="on fingerprint and startsAt: another one is another alert",
        held_by=("remediation/observe/alert_rows.py",),
        node=f"{WEBHOOK}test_another_fingerprint_or_start_is_another_alert",
        variants=(
            Variant(
                name="alerts of one fingerprint are one",
                breaks=edit(
                    "remediation.observe.alert_rows:_place", "abs(item.starts_at - start) < SAME_START", "True"
                ),
            ),
            Variant(
                name="alerts of one start are one",
                breaks=edit(
                    STORE, "fingerprint(item.labels), moment", "'same', moment", ("known.get(key[0], [])", "[]")
                ),
            ),
        ),
    ),
)
CLAUSES = (*ROWS, *ALERTS)
