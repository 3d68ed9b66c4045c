"""Invariants 19 and 20: decision records, and the loop that watches itself."""

from __future__ import annotations

from typing import Any

import pytest

from remediation import deciding, episodes
from remediation.models import Decision, Heartbeat, Incident
from remediation.states import Outcome
from tests.broken.variant import Clause, Variant, edit, instead

DECISIONS = "tests/remediation/test_invariant_decisions.py::"
WATCHING = "tests/remediation/test_invariant_watching.py::"


def doing_nothing_is_not_recorded(patch: pytest.MonkeyPatch) -> None:
    conclude = deciding.conclude

    def silent(case: Any, outcome: Outcome, summary: str, **more: Any) -> None:
        if outcome != Outcome.NOTHING:
            conclude(case, outcome, summary, **more)

    patch.setattr(deciding, "conclude", silent)


def records_stay_open(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(episodes, "close_decision", lambda incident, *, now: None)


def what_ended_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    close = episodes.close_decision

    def tidy(incident: Incident, *, now: Any) -> None:
        close(incident, now=now)
        Decision.objects.filter(incident=incident, outcome=Outcome.NOTHING).delete()

    patch.setattr(episodes, "close_decision", tidy)


def a_stage_is_silent(stage: str) -> Any:
    def breaks(patch: pytest.MonkeyPatch) -> None:
        beat = Heartbeat.beat

        def silent(name: str, **more: Any) -> None:
            if name != stage:
                beat(name, **more)

        patch.setattr(Heartbeat, "beat", silent)

    return breaks


RECORDS = (
    Clause(
        number=19,
        says='every firing episode ends in one decision record, "did nothing, because" included',
        held_by=("remediation/deciding.py", "remediation/episodes.py"),
        node=f"{DECISIONS}test_every_firing_episode_ends_in_one_record",
        variants=(
            Variant(name="doing nothing is not recorded", breaks=doing_nothing_is_not_recorded),
            Variant(name="records stay open", breaks=records_stay_open),
            Variant(name="what came to nothing is forgotten", breaks=what_ended_is_forgotten),
        ),
    ),
    Clause(
        number=19,
        says="also when nobody rang",
        held_by=("remediation/episodes.py",),
        node=f"{DECISIONS}test_an_end_that_nobody_rang_for_closes_it_all_the_same",
        variants=(Variant(name="a record is closed by its bell only", breaks=records_stay_open),),
    ),
)
SIGNS = (
    Clause(
        number=20,
        says="a heartbeat per stage",
        held_by=("remediation/schedule.py", "remediation/loop.py", "remediation/storms.py", "remediation/tasks.py"),
        node=f"{WATCHING}test_each_stage_leaves_signs_of_life",
        variants=(
            Variant(name="the sweep is silent", breaks=a_stage_is_silent("reconcile"), quick=True),
            Variant(name="beat is silent", breaks=a_stage_is_silent("beat")),
            Variant(
                name="nobody looks for storms",
                breaks=instead("remediation.storms:look", lambda *, now, at_once=False: None),
            ),
        ),
    ),
    Clause(
        number=20,
        says="also of a worker that never came",
        held_by=("remediation/schedule.py",),
        node=f"{WATCHING}test_a_worker_that_never_came_is_missed",
        variants=(
            Variant(
                name="a worker is missed once it was there",
                breaks=instead("remediation.models:Heartbeat.expect", lambda stage, *, now, every_s: None),
            ),
        ),
    ),
    Clause(
        number=20,
        says="a banner when it stalls",
        held_by=("dashboard/pages/chrome.py",),
        node=f"{WATCHING}test_a_stage_that_stands_still_is_a_banner_on_every_page",
        variants=(
            Variant(
                name="nothing ever stands still",
                breaks=instead("dashboard.pages.chrome:is_stalled", lambda row, now: False),
            ),
        ),
    ),
    Clause(
        number=20,
        says="a metric and the readiness when it stalls",
        held_by=("dashboard/api/metrics.py", "dashboard/api/health.py"),
        node=f"{WATCHING}test_a_stage_that_stands_still_is_a_metric_and_not_ready",
        variants=(
            Variant(name="it is ready all the same", breaks=instead("dashboard.api.health:stalled", lambda *, now: [])),
            Variant(
                name="signs of life are always new",
                breaks=edit("dashboard.api.metrics:Knowledge.stages", "self.since(beat.at)", "0.0"),
            ),
        ),
    ),
    Clause(
        number=20,
        says="the oldest waiting row",
        held_by=("dashboard/api/metrics.py",),
        node=f"{WATCHING}test_the_oldest_waiting_row_is_a_metric",
        variants=(
            Variant(
                name="the newest waiting row is told",
                breaks=edit("dashboard.api.metrics:Knowledge.since", "(self.now - moment).total_seconds()", "0.0"),
            ),
        ),
    ),
)
CLAUSES = (*RECORDS, *SIGNS)
