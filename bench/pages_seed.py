"""What bench.pages looks at: services that depend on each other, each watched by a rule, some of them broken."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone

from remediation.models import (
    Incident,
    Rule,
    RuleStatus,
    RuleVersion,
    SeriesState,
    Service,
    Source,
    SourceStatus,
    Transition,
)
from remediation.models.roles import ensure_roles
from remediation.series import fingerprint

TEAMS = ("shop", "payments", "search", "platform", "data")


def seed(services: int, incidents: int) -> None:
    """One rule and series per service, each service depending on up to two before it; incidents on the first ones,
    half of them waiting for a person."""
    now = timezone.now()
    source = Source.objects.create(name="bench", url="http://127.0.0.1:9090", pull_alerts_s=0)
    SourceStatus.objects.create(source=source, answered_at=now)
    named = [
        Service(name=f"service-{number:03}", title=f"Service {number}", team=TEAMS[number % len(TEAMS)])
        for number in range(services)
    ]
    rows = Service.objects.bulk_create(named)
    link = Service.depends_on.through
    pairs = {(number, number // step) for number in range(1, services) for step in (2, 7)}
    link._default_manager.bulk_create(
        [link(from_service_id=rows[one].pk, to_service_id=rows[other].pk) for one, other in sorted(pairs)]
    )
    rules = Rule.objects.bulk_create(
        [
            Rule(name=f"Errors{row.pk}", source=source, service=row, query="up", detector="threshold", version=1)
            for row in rows
        ]
    )
    long_ago = now - timedelta(days=9)
    versions = RuleVersion.objects.bulk_create(
        [RuleVersion(rule=rule, number=1, body=rule.body(), author="bench", at=long_ago) for rule in rules]
    )
    RuleStatus.objects.bulk_create([RuleStatus(rule=rule, evaluated_at=now, series=1) for rule in rules])
    labels = [{"service": row.name, "instance": "10.0.0.1:9100"} for row in rows]
    SeriesState.objects.bulk_create(
        [
            SeriesState(rule=rule, fingerprint=fingerprint(one), labels=one, verdict="ok", phase="ok")
            for rule, one in zip(rules, labels, strict=True)
        ]
    )
    _break(versions[:incidents], labels)


def _break(versions: list[RuleVersion], labels: list[dict[str, str]]) -> None:
    now = timezone.now()
    found = []
    for number, version in enumerate(versions):
        at = now - timedelta(minutes=1 + number % 90)
        rule, one = version.rule, labels[number]
        found.append(
            Incident(
                rule=rule,
                rule_version=version,
                service=rule.service,
                fingerprint=fingerprint(one),
                series_labels=one,
                labels={**one, "alertname": rule.name, "severity": "critical"},
                annotations={"summary": "{service} answers with errors"},
                severity="critical",
                state="firing",
                state_since=at,
                opened_at=at,
                fired_at=at,
                value=0.4,
                upper=0.05,
                reason="0.4 is above 0.05",
                judged_at=now,
                needs_person=number % 2 == 0,
                attention="nothing automatic is left to try" if number % 2 == 0 else "",
            )
        )
    for row in Incident.objects.bulk_create(found):
        for state in ("pending", "firing"):
            Transition.objects.create(
                kind="incident", object_id=row.pk, incident=row, to_state=state, at=row.opened_at, reason=row.reason
            )


def touch(number: int) -> None:
    """Another tenth of the services opens or closes its incident: their cards, and what lists them, are made anew."""
    RuleStatus.objects.update(evaluated_at=timezone.now())
    turned = Incident.objects.filter(pk__in=list(range(1, 100_000, 10)))
    state = ("resolved", "firing")[number % 2]
    now = timezone.now()
    turned.update(state=state, resolved_at=now if state == "resolved" else None, state_since=now, value=0.4 + number)


def sign_in() -> str:
    """The cookie of somebody who may approve."""
    ensure_roles()
    user = User.objects.create_user("bench")
    user.groups.add(Group.objects.get(name="approver"))
    client = Client()
    client.force_login(user)
    return f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"
