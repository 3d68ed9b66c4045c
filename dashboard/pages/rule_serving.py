"""Which playbooks would take on what one rule finds, chosen as the decide stage chooses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dashboard.pages import by_itself, rule_series
from dashboard.pages.owners import owner_of
from dashboard.pages.words import verb_word
from remediation.models import Playbook, Rule, Service
from remediation.models.service import matcher_text


@dataclass(frozen=True, kw_only=True)
class Served:
    """first: series of which it would take the incident; later: those that it fits too, but another one comes first."""

    playbook: Playbook
    steps: Sequence[str]
    first: int
    later: int


@dataclass(frozen=True, kw_only=True)
class Serving:
    """rows: playbooks in the order in which they are asked. looked_at: how many series that rests on; 0: the rule has
    none, and its own labels were asked. unserved: of those, the ones that no playbook takes."""

    rows: Sequence[Served]
    looked_at: int
    unserved: int


def of_rule(rule: Rule) -> Serving:
    playbooks = list(Playbook.objects.filter(enabled=True).order_by("-priority", "pk").prefetch_related("steps"))
    first, later, none = Counter[int](), Counter[int](), 0
    cases = list(_cases(rule))
    for labels in cases or [_labels(rule, {}, _services(rule))]:
        fits = [one.pk for one in by_itself.fitting(playbooks, labels)]
        first.update(fits[:1])
        later.update(fits[1:])
        none += not fits
    rows = [_served(one, first[one.pk], later[one.pk]) for one in playbooks if first[one.pk] or later[one.pk]]
    return Serving(rows=rows, looked_at=len(cases), unserved=none)


def _cases(rule: Rule) -> Iterator[dict[str, str]]:
    """The labels that incidents of its series would have, the worst series first."""
    services = _services(rule)
    for found in rule_series.worst_first(rule.pk).values_list("labels", flat=True)[: by_itself.EXAMPLES]:
        yield _labels(rule, found, services)


def _services(rule: Rule) -> list[tuple[int, str, str, str]]:
    """Key, name, team and matchers: of its own, or of all that a series may belong to."""
    rows = Service.objects.order_by("name").values_list("pk", "name", "team", "matchers")
    rows = rows if rule.service_id is None else rows.filter(pk=rule.service_id)
    return [(pk, name, team, matcher_text(name, own)) for pk, name, team, own in rows]


def _labels(rule: Rule, labels: dict[str, str], services: list[tuple[int, str, str, str]]) -> dict[str, str]:
    owner = rule.service_id
    if owner is None:
        known = tuple((pk, matchers) for pk, _name, _team, matchers in services)
        owner = owner_of(tuple(sorted({**labels, **rule.labels}.items())), known)
    name, team = next(((name, team) for pk, name, team, _own in services if pk == owner), ("", ""))
    return by_itself.labels_of(rule, labels, service=name, team=team)


def _served(playbook: Playbook, first: int, later: int) -> Served:
    steps = sorted(playbook.steps.all(), key=lambda step: step.position)
    return Served(playbook=playbook, steps=[verb_word(step.verb) for step in steps], first=first, later=later)
