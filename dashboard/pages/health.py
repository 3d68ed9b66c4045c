"""How each service is. Read from the database with a constant number of queries, however many services there are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache

from django.db.models import Q

from remediation import matchers
from remediation.exceptions import MatcherError
from remediation.models import Freeze, Incident, Remediation, Rule, SeriesState, Service
from remediation.states import REMEDIATION_LIVE, IncidentState, RemediationState, Severity, Verdict

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
LATE_S = 30
"""Grace beyond three intervals until a rule that is not evaluated makes its service unknown."""


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


@dataclass(kw_only=True)
class Signs:
    """What was found of one service, before it is judged."""

    incidents: list[Incident] = field(default_factory=list)
    repairs: list[tuple[str, str]] = field(default_factory=list)
    frozen: bool = False
    unknown: list[str] = field(default_factory=list)
    rules: int = 0

    @property
    def troubles(self) -> list[Incident]:
        """Incidents of severity info are worth a note, and no sign that anything is broken."""
        return [incident for incident in self.incidents if incident.severity != Severity.INFO]


def survey(*, now: datetime, ids: Iterable[int] | None = None) -> list[Health]:
    """All services, or some of them, in the order of their names."""
    services = list(Service.objects.prefetch_related("depends_on"))
    wanted = None if ids is None else set(ids)
    signs: dict[int, Signs] = defaultdict(Signs)
    _add_incidents(signs)
    for service_id in Freeze.active(now=now, anywhere=True).exclude(service=None).values_list("service_id", flat=True):
        if service_id is not None:
            signs[service_id].frozen = True
    _add_rules(signs, services, now)
    found = {service.pk: _judge(service, signs[service.pk]) for service in services}
    chosen = [service for service in services if wanted is None or service.pk in wanted]
    return [_with_dependencies(service, found) for service in chosen]


def _add_incidents(signs: dict[int, Signs]) -> None:
    rows = Incident.objects.exclude(state=IncidentState.RESOLVED).exclude(service=None).select_related("rule")
    by_id = {}
    for incident in rows.order_by("opened_at"):
        by_id[incident.pk] = incident
        if incident.service_id is not None:
            signs[incident.service_id].incidents.append(incident)
    live = Remediation.objects.filter(state__in=REMEDIATION_LIVE, incident__service__isnull=False)
    for service_id, state, verb in live.values_list("incident__service_id", "state", "verb"):
        if service_id is not None:
            signs[service_id].repairs.append((state, verb))


def _add_rules(signs: dict[int, Signs], services: list[Service], now: datetime) -> None:
    rules = {rule.pk: rule for rule in Rule.objects.filter(enabled=True).select_related("status")}
    for rule in rules.values():
        if rule.service_id is not None:
            signs[rule.service_id].rules += 1
            if reason := blindness(rule, now):
                signs[rule.service_id].unknown.append(reason)
    loose = [rule.pk for rule in rules.values() if rule.service_id is None]
    states = SeriesState.objects.filter(rule_id__in=rules)
    states = states.filter(Q(verdict=Verdict.UNKNOWN) | Q(rule_id__in=loose))
    known = tuple((service.pk, service.matcher_text) for service in services)
    for row in states.only("rule_id", "fingerprint", "labels", "verdict", "reason")[:SERIES_LIMIT]:
        rule = rules[row.rule_id]
        owner = rule.service_id or owner_of(tuple(sorted({**row.labels, **rule.labels}.items())), known)
        if owner is None:
            continue
        if rule.service_id is None:
            signs[owner].rules += 1
        if row.verdict == Verdict.UNKNOWN:
            signs[owner].unknown.append(f"{rule.name}: {row.reason or 'no usable sample'}")


def blindness(rule: Rule, now: datetime) -> str:
    """Why nothing can be said by this rule; empty when it is evaluated as it should be."""
    status = getattr(rule, "status", None)
    if status is None or status.evaluated_at is None:
        return (
            f"{rule.name} has not been evaluated yet"
            if not (status and status.error)
            else f"{rule.name}: {status.error}"
        )
    if status.error:
        return f"{rule.name}: {status.error}"
    late = status.evaluated_at < now - timedelta(seconds=3 * rule.interval_s + LATE_S)
    return f"{rule.name} has not been evaluated since {status.evaluated_at:%H:%M:%S} UTC" if late else ""


@lru_cache(maxsize=20000)
def owner_of(labels: tuple[tuple[str, str], ...], services: tuple[tuple[int, str], ...]) -> int | None:
    """The first service whose matchers fit, as the loop assigns incidents."""
    found = dict(labels)
    for service_id, text in services:
        try:
            if matchers.matches(text, found):
                return service_id
        except MatcherError:
            continue
    return None


def _judge(service: Service, signs: Signs) -> Health:
    state, because = _state_of(signs)
    waiting = sum(1 for state, _ in signs.repairs if state == RemediationState.AWAITING_APPROVAL)
    return Health(
        id=service.pk,
        name=service.name,
        title=str(service),
        team=service.team,
        state=state,
        because=because,
        open=len(signs.incidents),
        waiting=waiting + sum(1 for incident in signs.incidents if incident.needs_person),
        frozen=signs.frozen,
    )


def _state_of(signs: Signs) -> tuple[str, str]:
    """The state that matters most, and why. Unknown comes before ok: what nobody can see is not well."""
    return _at_fault(signs) or _at_rest(signs)


def _at_fault(signs: Signs) -> tuple[str, str] | None:
    firing = [incident for incident in signs.troubles if incident.state == IncidentState.FIRING]
    at_work = [verb for state, verb in signs.repairs if state in AT_WORK]
    if at_work:
        about = f": {firing[0].title}" if firing else ""
        return "repairing", f"{at_work[0].capitalize()} under way{about}"
    return ("firing", firing[0].title) if firing else None


def _at_rest(signs: Signs) -> tuple[str, str]:
    if signs.unknown:
        more = f" (and {len(signs.unknown) - 1} more)" if len(signs.unknown) > 1 else ""
        return "unknown", f"{signs.unknown[0]}{more}"
    if signs.troubles:
        return "pending", signs.troubles[0].title
    if not signs.rules:
        return "unknown", "No rule watches it"
    if signs.frozen:
        return "frozen", "Automation is paused here"
    return "ok", f"Noted: {signs.incidents[0].title}" if signs.incidents else ""


def _with_dependencies(service: Service, found: dict[int, Health]) -> Health:
    needed = [found[other.pk] for other in service.depends_on.all() if other.pk in found]
    troubled = tuple((one.name, one.title, one.state) for one in needed if one.state not in ("ok", "frozen"))
    return replace(found[service.pk], depends_on=troubled, dependencies=len(needed))
