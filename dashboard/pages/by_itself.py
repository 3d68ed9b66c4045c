"""The second axis of a service: whether automation may act on it now, what holds it if not, and what it would do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext as _

from dashboard.pages.words import verb_word
from remediation import matchers
from remediation.decide import windows
from remediation.exceptions import ConfigurationError, MatcherError
from remediation.models import Breaker, Freeze, Incident, Playbook, Remediation, Rule, Service, Storm
from remediation.states import REMEDIATION_LIVE, Autonomy, IncidentState, RemediationState

EXAMPLES = 200
"""Series that playbooks are matched against at most."""


@dataclass(frozen=True, kw_only=True)
class Hold:
    """Why nothing, or not everything, is done by itself. `until` is when that ends; None where nobody can say.

    `href` leads to where an answer to it is given.
    """

    tone: str
    word: str
    because: str
    until: datetime | None = None
    href: str = ""


@dataclass(frozen=True, kw_only=True)
class Automation:
    """tone and word: the axis in one badge. holds: what it comes from, the strongest first."""

    tone: str
    word: str
    holds: Sequence[Hold]


@dataclass(frozen=True, kw_only=True)
class Serving:
    """A playbook that would take on what these rules find."""

    playbook: Playbook
    rules: Sequence[str]
    steps: Sequence[str]


def automation_of(row: Service, *, now: datetime, serving: Sequence[Serving]) -> Automation:
    holds = [*_frozen(row, now), *_taken(row, now), *_maintained(row, now), *_broken(row), *_storms(row), *_off(row)]
    if holds:
        return Automation(tone=holds[0].tone, word=holds[0].word, holds=holds)
    at_work = list(_at_work(row))
    if at_work:
        return Automation(tone=at_work[0].tone, word=at_work[0].word, holds=at_work)
    return _able(serving)


def _able(serving: Sequence[Serving]) -> Automation:
    autonomies = {one.playbook.autonomy for one in serving}
    if Autonomy.AUTO in autonomies:
        return Automation(tone="repairing", word=_("Acts alone"), holds=())
    if Autonomy.APPROVE in autonomies:
        return Automation(tone="person", word=_("Asks first"), holds=())
    if Autonomy.SHADOW in autonomies:
        return Automation(tone="off", word=_("Only watches"), holds=())
    because = Hold(tone="off", word=_("Does nothing"), because=_("No playbook serves what is watched here."))
    return Automation(tone="off", word=because.word, holds=(because,))


def _frozen(row: Service, now: datetime) -> Iterator[Hold]:
    for freeze in Freeze.active(now=now, service_id=row.pk):
        where = _("Paused here") if freeze.service_id else _("Paused everywhere")
        said = _("by %(name)s") % {"name": freeze.by}
        yield Hold(
            tone="frozen", word=where, because=f"{said}: {freeze.reason}" if freeze.reason else said, until=freeze.until
        )


def _taken(row: Service, now: datetime) -> Iterator[Hold]:
    rows = Incident.objects.filter(service=row, taken_until__gt=now).exclude(state=IncidentState.RESOLVED)
    for one in rows.exclude(taken_by=None).select_related("taken_by"):
        name = one.taken_by.username if one.taken_by else ""
        because = _("%(name)s repairs it by hand.") % {"name": name}
        yield Hold(tone="person", word=_("A person is on it"), because=because, until=one.taken_until)


def _maintained(row: Service, now: datetime) -> Iterator[Hold]:
    for window in windows.of_service(row.pk):
        try:
            found = windows.occurrence(window, now)
        except ConfigurationError as error:
            yield Hold(tone="frozen", word=_("Maintenance"), because=f"{window.name}: {error}")
            continue
        if found is not None:
            yield Hold(tone="frozen", word=_("Maintenance"), because=window.name, until=found.end)


def _broken(row: Service) -> Iterator[Hold]:
    rows = Breaker.objects.filter(service=row).exclude(state=Breaker.State.CLOSED).select_related("playbook")
    for one in rows.order_by("changed_at"):
        what = _("Step %(position)s of %(playbook)s") % {"position": one.position, "playbook": one.playbook}
        yield Hold(tone="pending", word=_("Breaker open"), because=f"{what}: {one.reason}" if one.reason else what)


def _storms(row: Service) -> Iterator[Hold]:
    here = Rule.objects.filter(Q(service=row) | Q(service=None), enabled=True).values("source")
    for one in Storm.objects.filter(ended_at=None, source__in=here):
        yield Hold(tone="frozen", word=_("Held by a storm"), because=one.reason)


def _off(row: Service) -> Iterator[Hold]:
    for one in row.targets.exclude(automation_off="").order_by("name"):
        because = f"{one.name}: {one.automation_off}"
        yield Hold(tone="off", word=_("Hands off a target"), because=because)


def _at_work(row: Service) -> Iterator[Hold]:
    rows = Remediation.objects.filter(incident__service=row, state__in=REMEDIATION_LIVE).order_by("pk")
    for one in rows:
        what = f"{verb_word(one.verb)} {one.target_names}"
        if one.state == RemediationState.AWAITING_APPROVAL:
            answer = f"{reverse('approvals')}#approval-{one.pk}"
            yield Hold(tone="person", word=_("Waits for approval"), because=what, until=one.expires_at, href=answer)
        elif one.state in (RemediationState.PLANNED, RemediationState.GATED):
            yield Hold(
                tone="pending", word=_("Held by guards"), because=f"{what}: {one.reason}" if one.reason else what
            )
        else:
            yield Hold(tone="repairing", word=_("At work"), because=what)


def serving(row: Service, watched: Sequence[tuple[Rule, dict[str, str]]]) -> list[Serving]:
    """The playbooks that would be chosen for incidents of these series (rule, labels), as the decide stage chooses."""
    playbooks = list(Playbook.objects.filter(enabled=True).order_by("-priority", "pk").prefetch_related("steps"))
    rules: dict[int, dict[str, None]] = {}
    for rule, labels in watched[:EXAMPLES]:
        chosen = next(fitting(playbooks, labels_of(rule, labels, service=row.name, team=row.team)), None)
        if chosen is not None:
            rules.setdefault(chosen.pk, {})[rule.name] = None
    return [
        Serving(
            playbook=one,
            rules=list(rules[one.pk]),
            steps=[verb_word(step.verb) for step in sorted(one.steps.all(), key=lambda step: step.position)],
        )
        for one in playbooks
        if one.pk in rules
    ]


def labels_of(rule: Rule, labels: Mapping[str, str], *, service: str, team: str) -> dict[str, str]:
    """Those that an incident of this series would have. service, team: empty where it belongs to none."""
    known = {**labels, "alertname": rule.name, **rule.labels, "severity": rule.severity}
    return known | {name: value for name, value in (("service", service), ("team", team)) if value}


def fitting(playbooks: Iterable[Playbook], labels: dict[str, str]) -> Iterator[Playbook]:
    """Those that such an incident fits, in their order: the first of them serves it."""
    return (one for one in playbooks if _fits(one, labels))


def _fits(playbook: Playbook, labels: dict[str, str]) -> bool:
    try:
        return matchers.matches(playbook.matchers, labels)
    except MatcherError:
        return False
