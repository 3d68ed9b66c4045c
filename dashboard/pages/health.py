"""How each service is. Read from the database with a constant number of queries, however many services there are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from dashboard.live.fragments import once
from dashboard.pages import chrome
from dashboard.pages.owners import owner_of
from dashboard.pages.words import verb_word
from remediation.models import Incident, Remediation, Rule, SeriesState, Service
from remediation.models.gap import LATE_S, late_after
from remediation.models.prepared import Prepared
from remediation.models.service import matcher_text
from remediation.states import REMEDIATION_LIVE, IncidentState, RemediationState, Severity, Verdict
from remediation.texts import fill

ORDER = ("firing", "repairing", "unknown", "pending", "frozen", "ok")
"""What needs eyes first."""

AT_WORK = frozenset(
    {
        RemediationState.READY,
        RemediationState.EXECUTING,
        RemediationState.VERIFYING,
        RemediationState.UNKNOWN,
        RemediationState.ROLLING_BACK,
    }
)
SERIES_LIMIT = 5000


@dataclass(frozen=True, kw_only=True)
class Health:
    """One service, as its card shows it. Hashable: an equal one is not rendered again."""

    id: int
    name: str
    title: str
    team: str
    state: str = "ok"
    because: str = ""
    open: int = 0
    waiting: int = 0
    frozen: bool = False
    depends_on: tuple[tuple[str, str, str], ...] = ()
    """Name, title and state of each dependency that is not ok, and how many there are in all in `dependencies`."""
    dependencies: int = 0


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """The few columns of an open incident that a card needs. `title` is made only where it is shown."""

    state: str
    severity: str
    needs_person: bool
    title: Callable[[], str]


@dataclass(kw_only=True)
class Signs:
    """What was found of one service, before it is judged."""

    incidents: list[Trouble] = field(default_factory=list)
    repairs: list[tuple[str, str]] = field(default_factory=list)
    frozen: bool = False
    unknown: list[str] = field(default_factory=list)
    unknown_since: float | None = None
    """When the first of what is unknown now became so, seconds since the epoch; 0 where it was never known."""
    rules: set[int] = field(default_factory=set)

    @property
    def troubles(self) -> list[Trouble]:
        """Incidents of severity info are worth a note, and no sign that anything is broken."""
        return [incident for incident in self.incidents if incident.severity != Severity.INFO]

    def lose(self, reason: str, since: float) -> None:
        self.unknown.append(reason)
        self.unknown_since = since if self.unknown_since is None else min(since, self.unknown_since)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """All services at one moment, in the order of their names, what is known of each, and the ids each depends on."""

    at: datetime
    services: Mapping[int, Health]
    signs: Mapping[int, Signs]
    needs: Mapping[int, tuple[int, ...]]


def survey(*, now: datetime, ids: Iterable[int] | None = None) -> list[Health]:
    """All services, or some of them, in the order of their names."""
    seen = look(now)
    wanted = None if ids is None else set(ids)
    return [one for pk, one in seen.services.items() if wanted is None or pk in wanted]


@once
def everything() -> Seen:
    """Read one time for a page and all of its pieces."""
    return look(timezone.now())


_services = Prepared(lambda _: Service.objects.order_by("name").values_list("pk", "name", "title", "team"))
_matchers = Prepared(lambda _: Service.objects.order_by("name").values_list("pk", "name", "matchers"))
_dependencies = Prepared(
    lambda _: Service.depends_on.through._default_manager.values_list("from_service_id", "to_service_id")
)


def look(now: datetime) -> Seen:
    services = _services.all()
    signs: dict[int, Signs] = {pk: Signs() for pk, *_rest in services}
    _add_incidents(signs)
    for freeze in chrome.freezes():
        if freeze.service_id is not None:
            signs[freeze.service_id].frozen = True
    _add_rules(signs, now)
    shown = {pk: (name, title or name, *_state_of(signs[pk])) for pk, name, title, _team in services}
    needs = _needs({pk: one[0] for pk, one in shown.items()})
    found = {
        pk: _health(pk, team, shown[pk], signs[pk], [shown[other][:3] for other in needs.get(pk, ())])
        for pk, _name, _title, team in services
    }
    return Seen(at=now, services=found, signs=signs, needs=needs)


def _needs(names: Mapping[int, str]) -> dict[int, tuple[int, ...]]:
    """What each service depends on, in the order of names."""
    needs: dict[int, list[int]] = defaultdict(list)
    for one, other in _dependencies.all():
        if one in names and other in names:
            needs[one].append(other)
    return {one: tuple(sorted(others, key=names.__getitem__)) for one, others in needs.items()}


RULE = ("pk", "service_id", "name", "interval_s", "status__evaluated_at", "status__error")
SERIES = ("rule_id", "rule__name", "rule__service_id", "labels", "verdict", "reason", "verdict_since")
INCIDENT = ("service_id", "state", "severity", "needs_person", "rule__name", "annotations", "labels", "value")


_incidents = Prepared(
    lambda _: (
        Incident.objects.exclude(state=IncidentState.RESOLVED)
        .exclude(service=None)
        .order_by("opened_at")
        .values_list(*INCIDENT)
    )
)
_repairs = Prepared(
    lambda _: Remediation.objects.filter(state__in=REMEDIATION_LIVE, incident__service__isnull=False).values_list(
        "incident__service_id", "state", "verb"
    )
)


def _add_incidents(signs: dict[int, Signs]) -> None:
    """A service that came since the services were read is left for the next look."""
    for service_id, state, severity, needs_person, *words in _incidents.all():
        if service_id in signs:
            trouble = Trouble(state=state, severity=severity, needs_person=needs_person, title=_titled(*words))
            signs[service_id].incidents.append(trouble)
    for service_id, state, verb in _repairs.all():
        if service_id in signs:
            signs[service_id].repairs.append((state, verb))


def _titled(rule: str, annotations: Mapping[str, str], labels: Mapping[str, str], value: float | None) -> Any:
    """As Incident.title says it."""
    return lambda: fill(annotations.get("summary") or rule, labels, value)


_RULES = Rule.objects.filter(enabled=True)
_owned = Prepared(lambda _: _RULES.exclude(service=None).values_list("pk", "service_id"))
_loose = Prepared(lambda _: _RULES.filter(service=None).values_list("pk", "labels"))
# The times of those that are surely well need not be read.
_unsure = Prepared(
    lambda given: _RULES.exclude(status__error="", status__evaluated_at__gt=given("lately")).values_list(*RULE)
)
_states = Prepared(
    lambda _: SeriesState.objects.filter(
        Q(verdict=Verdict.UNKNOWN) | Q(rule__service=None), rule__enabled=True
    ).values_list(*SERIES)[:SERIES_LIMIT]
)


def _add_rules(signs: dict[int, Signs], now: datetime) -> None:
    for pk, service_id in _owned.all():
        if service_id in signs:
            signs[service_id].rules.add(pk)
    lost: dict[int, tuple[str, float]] = {}
    for pk, service_id, name, interval_s, evaluated_at, error in _unsure.all(lately=now - timedelta(seconds=LATE_S)):
        if reason := _blind(name, interval_s, evaluated_at, error or "", now):
            lost[pk] = (reason, evaluated_at.timestamp() if evaluated_at else 0)
            if service_id in signs:
                signs[service_id].lose(*lost[pk])
    loose = dict(_loose.all())
    services = tuple((pk, matcher_text(name, own)) for pk, name, own in _matchers.all()) if loose else ()
    for pk, name, service_id, labels, verdict, reason, since in _states.all():
        owner = service_id or owner_of(tuple(sorted({**labels, **loose.get(pk, {})}.items())), services)
        if owner not in signs:
            continue
        if pk in lost and pk not in signs[owner].rules:  # a rule that belongs to no service is lost to each it watches
            signs[owner].lose(*lost[pk])
        signs[owner].rules.add(pk)
        if verdict == Verdict.UNKNOWN:
            signs[owner].lose(f"{name}: {reason or _('no usable sample')}", since)


def blindness(rule: Rule, now: datetime) -> str:
    """Why nothing can be said by this rule; empty when it is evaluated as it should be."""
    status = getattr(rule, "status", None)
    at, error = (status.evaluated_at, status.error) if status else (None, "")
    return _blind(rule.name, rule.interval_s, at, error, now)


def _blind(name: str, interval_s: float, evaluated_at: datetime | None, error: str, now: datetime) -> str:
    if error:
        return f"{name}: {error}"
    if evaluated_at is None:
        return _("%(rule)s has not been evaluated yet") % {"rule": name}
    if now - evaluated_at <= late_after(interval_s):
        return ""
    return _("%(rule)s has not been evaluated since %(time)s UTC") % {"rule": name, "time": f"{evaluated_at:%H:%M:%S}"}


def _health(
    pk: int, team: str, shown: tuple[str, str, str, str], signs: Signs, needed: list[tuple[str, str, str]]
) -> Health:
    name, title, state, because = shown
    if not (signs.incidents or signs.repairs or needed or signs.frozen):  # as most are, in a large installation
        return Health(id=pk, name=name, title=title, team=team, state=state, because=because)
    asked = sum(1 for found, _verb in signs.repairs if found == RemediationState.AWAITING_APPROVAL)
    return Health(
        id=pk,
        name=name,
        title=title,
        team=team,
        state=state,
        because=because,
        open=len(signs.incidents),
        waiting=asked + sum(1 for incident in signs.incidents if incident.needs_person),
        frozen=signs.frozen,
        depends_on=tuple(one for one in needed if one[2] not in ("ok", "frozen")),
        dependencies=len(needed),
    )


def _state_of(signs: Signs) -> tuple[str, str]:
    """The state that matters most, and why. Unknown comes before ok: what nobody can see is not well."""
    if signs.rules and not (signs.incidents or signs.repairs or signs.unknown or signs.frozen):
        return "ok", ""
    return _at_fault(signs) or _at_rest(signs)


def _at_fault(signs: Signs) -> tuple[str, str] | None:
    firing = [incident for incident in signs.troubles if incident.state == IncidentState.FIRING]
    at_work = [verb for state, verb in signs.repairs if state in AT_WORK]
    if at_work:
        under_way = _("%(verb)s under way") % {"verb": verb_word(at_work[0]).capitalize()}
        return "repairing", f"{under_way}: {firing[0].title()}" if firing else under_way
    return ("firing", firing[0].title()) if firing else None


def _at_rest(signs: Signs) -> tuple[str, str]:
    if signs.unknown:
        others = len(signs.unknown) - 1
        more = ngettext("(and %(count)s more)", "(and %(count)s more)", others) % {"count": others}
        return "unknown", f"{signs.unknown[0]} {more}" if others else signs.unknown[0]
    if signs.troubles:
        return "pending", signs.troubles[0].title()
    if not signs.rules:
        return "unknown", _("No rule watches it")
    if signs.frozen:
        return "frozen", _("Automation is paused here")
    noted = signs.incidents[0].title() if signs.incidents else ""
    return "ok", _("Noted: %(incident)s") % {"incident": noted} if noted else ""
