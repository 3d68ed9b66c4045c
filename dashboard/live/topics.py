"""From what happened to what has to be looked at again."""

from __future__ import annotations

from collections.abc import Iterable

from dashboard.live.publish import Notice
from dashboard.pages.owners import owner_of
from remediation.models import Rule, SeriesState, Service

SERIES_LOOKED_AT = 500


def expand(notices: Iterable[Notice]) -> set[str]:
    """What a batch of notices touches: kinds, rows, their incidents, services and what depends on those."""
    topics: set[str] = set()
    services: set[int] = set()
    rules: set[int] = set()
    for notice in notices:
        kind, pk = str(notice.get("kind", "")), notice.get("id")
        topics |= {kind, f"{kind}:{pk}"}
        if incident := notice.get("incident"):
            topics.add(f"incident:{incident}")
        if isinstance(service := notice.get("service"), int):
            services.add(service)
        if kind == "rule" and isinstance(pk, int):
            rules.add(pk)
        if kind == "freeze":
            services |= set(Service.objects.values_list("pk", flat=True))
    services |= _services_of(rules)
    dependants = Service.depends_on.through._default_manager.filter(to_service_id__in=services)
    services |= set(dependants.values_list("from_service_id", flat=True))
    topics |= {f"service:{pk}" for pk in services} | ({"service"} if services else set())
    return topics


def _services_of(rules: set[int]) -> set[int]:
    """The services a rule is about: its own, or those whose matchers fit its series."""
    if not rules:
        return set()
    own = dict(Rule.objects.filter(pk__in=rules).values_list("pk", "service_id"))
    found = {service for service in own.values() if service is not None}
    loose = [pk for pk, service in own.items() if service is None]
    if loose:
        known = tuple((service.pk, service.matcher_text) for service in Service.objects.all())
        for labels in SeriesState.objects.filter(rule_id__in=loose).values_list("labels", flat=True)[:SERIES_LOOKED_AT]:
            owner = owner_of(tuple(sorted(labels.items())), known)
            if owner is not None:
                found.add(owner)
    return found
