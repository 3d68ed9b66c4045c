"""Invariants 17 and 18: what is edited, and storms."""

from __future__ import annotations

from typing import Any

import pytest

from remediation import deciding, trust
from remediation.models import Incident
from remediation.states import Autonomy
from tests.broken.clauses.guards import passes
from tests.broken.variant import Clause, Variant, edit, instead

VERSIONS = "tests/remediation/test_invariant_versions.py::"
STORMS = "tests/remediation/test_guards_in_the_loop.py::"


def edits_of_rules_do_not_matter(patch: pytest.MonkeyPatch) -> None:
    def trusting(playbook: Any, incident: Incident, *, now: Any) -> tuple[Autonomy, str]:
        return Autonomy(playbook.autonomy), ""

    patch.setattr(trust, "autonomy_for", trusting)
    patch.setattr(deciding, "autonomy_for", trusting)


EDITS = (
    Clause(
        number=17,
        says="an edited rule is a new version",
        held_by=("remediation/models/rule.py",),
        node=f"{VERSIONS}test_an_edited_rule_is_a_new_version_beside_the_old",
        variants=(
            Variant(
                name="a rule's first version stays its last",
                breaks=edit("remediation.models.rule:Rule.keep_version", " and latest.body == self.body()", ""),
            ),
            Variant(
                name="each time it is saved is a version",
                breaks=edit("remediation.models.rule:Rule.keep_version", "latest.body == self.body()", "False"),
            ),
        ),
    ),
    Clause(
        number=17,
        says="an edited playbook is a new version and loses auto",
        held_by=("remediation/models/playbook.py",),
        node=f"{VERSIONS}test_an_edited_playbook_is_a_new_version_and_loses_auto",
        variants=(
            Variant(
                name="an edited playbook keeps auto",
                breaks=edit("remediation.models.playbook:Playbook.keep_version", "and not keep_autonomy", "and False"),
                quick=True,
            ),
            Variant(
                name="a playbook's first version stays its last",
                breaks=edit("remediation.models.playbook:Playbook.keep_version", " and latest.body == self.body()", ""),
            ),
        ),
    ),
    Clause(
        number=17,
        says="what an edited rule finds is no longer repaired by itself",
        held_by=("remediation/trust.py",),
        node=f"{VERSIONS}test_what_an_edited_rule_finds_is_asked_about",
        variants=(Variant(name="edits of rules do not matter", breaks=edits_of_rules_do_not_matter),),
    ),
    Clause(
        number=17,
        says="an edited playbook changes no plan in flight",
        held_by=("remediation/decide/plan.py", "remediation/models/remediation.py"),
        node=f"{VERSIONS}test_an_edited_playbook_changes_no_plan_that_waits",
        variants=(
            Variant(
                name="guards read the step as it is now",
                breaks=instead(
                    "remediation.decide.guards.base:Situation.step",
                    property(lambda self: {**self.remediation.plan["step"], **self.remediation.step.body()}),
                ),
            ),
            Variant(
                name="the proof asks for what the step asks now",
                breaks=edit("remediation.repair.proof:_judge", 'int(asked["good_samples"])', "row.step.good_samples"),
            ),
        ),
    ),
    Clause(
        number=17,
        says="an edited rule judges nothing in flight",
        held_by=("remediation/condition.py", "remediation/episodes.py"),
        node=f"{VERSIONS}test_an_edited_rule_judges_nothing_that_is_in_flight",
        variants=(
            Variant(
                name="the condition is asked by the newest version",
                breaks=edit("remediation.condition:ask", "incident.rule_version.as_rule()", "incident.rule"),
            ),
            Variant(
                name="the new version takes over at once",
                breaks=instead("remediation.episodes:REMEDIATION_LIVE", frozenset()),
            ),
        ),
    ),
    Clause(
        number=17,
        says="nor what a person is asked about",
        held_by=("remediation/condition.py", "remediation/repair/claim.py"),
        node=f"{VERSIONS}test_a_rule_that_was_edited_while_a_person_was_asked",
        variants=(
            Variant(
                name="a signature is about the newest version",
                breaks=edit("remediation.condition:ask", "incident.rule_version.as_rule()", "incident.rule"),
            ),
        ),
    ),
)
STORMY = (
    *(
        Clause(
            number=18,
            says=f"too much at once holds everything: by the guard {name} alone",
            held_by=(f"remediation/decide/guards/{name}.py", "remediation/storms.py"),
            node=f"{STORMS}test_each_of_the_two_holds_alone[{name}]",
            variants=(
                Variant(
                    name=f"{name} is not asked",
                    breaks=instead(f"remediation.decide.guards.{name}:{name.title()}Guard.ask", passes),
                ),
            ),
        )
        for name in ("storm", "partial")
    ),
    Clause(
        number=18,
        says="until it is healthy and has stayed so",
        held_by=("remediation/storms.py",),
        node="tests/remediation/test_storms.py::test_it_lasts_until_it_has_been_as_well_as_before_for_a_while",
        variants=(
            Variant(
                name="a storm ends with the first good look",
                breaks=edit(
                    "remediation.storms:_follow",
                    "elif now - storm.last_at >= timedelta(seconds=conf.STORM_CALM_S):",
                    "else:",
                ),
                quick=True,
            ),
            Variant(
                name="calm need not last without a break",
                breaks=edit("remediation.storms:_follow", "mine.update(last_at=now)", "pass"),
            ),
        ),
    ),
    Clause(
        number=18,
        says="a blind observer is one that is ill",
        held_by=("remediation/storms.py",),
        node=f"{STORMS}test_blind_source_that_sees_again_acts_only_after_the_calm",
        variants=(
            Variant(
                name="what is unknown is not ill",
                breaks=edit("remediation.storms:_weather", 'Sum("bad") + Sum("unknown")', 'Sum("bad")'),
            ),
        ),
    ),
)
CLAUSES = (*EDITS, *STORMY)
