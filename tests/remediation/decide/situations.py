"""What a guard looks at, made row by row: nothing of the loop runs here."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from remediation import registry
from remediation.decide import plan as plans
from remediation.decide.guards.base import Answer, Situation
from remediation.models import Incident, Remediation, RemediationTarget, Rule, SeriesState, Service, Step, Target
from remediation.states import REMEDIATION_LIVE
from tests.remediation.world import START, make_playbook, make_rule, make_service

NOW = START


def ask(name: str, situation: Situation) -> Answer:
    return registry.guards()[name].ask(situation)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def a_rule(service: Service | None, **fields: Any) -> Rule:
    known = Rule.objects.filter(name=fields.get("name", "AppDown")).first()
    return known or make_rule(service, **fields)


def an_incident(rule: Rule, service: Service | None, target: str = "app-1", **fields: Any) -> Incident:
    """A firing one, about a target by its label."""
    labels = {"target": target}
    given = {"state": "firing", "state_since": NOW, "opened_at": NOW, "fired_at": NOW, "verdict": "bad"}
    given |= {"series_labels": labels, "labels": labels, "fingerprint": target}
    version = rule.versions.get()
    return Incident.objects.create(rule=rule, rule_version=version, service=service, **(given | fields))


def a_step(**fields: Any) -> Step:
    step = Step.objects.first()
    if step is None:
        make_playbook(**fields)
        step = Step.objects.get()
    Step.objects.filter(pk=step.pk).update(**fields)
    step.refresh_from_db()
    return step


def a_remediation(incident: Incident, targets: list[Target], *, step: Step | None = None, **fields: Any) -> Remediation:
    step = step or a_step()
    plan = plans.build(incident, step.playbook, step, targets, [])
    given = {"playbook_version": 1, "verb": "restart", "autonomy": "auto", "state_since": NOW, "created_at": NOW}
    given |= {"plan": plan, "digest": plans.digest_of(plan), "position": step.position, "step": step}
    row = Remediation.objects.create(incident=incident, playbook=step.playbook, **(given | fields))
    live = row.state in REMEDIATION_LIVE
    RemediationTarget.objects.bulk_create(
        [RemediationTarget(remediation=row, target=one, live=live) for one in targets]
    )
    return row


def a_situation(
    service: Service | None = None, *, target: str = "app-1", select: tuple[str, ...] = (), **step: Any
) -> Situation:
    """A plan for targets of a service (those in `select`, else the one the incident is about), before any guard."""
    service = service or make_service()
    rule = a_rule(service)
    incident = an_incident(rule, service, target)
    chosen = list(Target.objects.filter(service=service, name__in=select or (target,)).order_by("name"))
    row = a_remediation(incident, chosen, step=a_step(**step), state="planned")
    return Situation(now=NOW, incident=incident, remediation=row)


def past(service: Service, target: str, *, seconds: float, **fields: Any) -> Remediation:
    """An attempt whose effect began so long ago and which is over, unless `state` says otherwise."""
    rule = a_rule(service, name=f"Past {Rule.objects.count()}", query="past")
    incident = an_incident(rule, service, target, state="resolved")
    chosen = [Target.objects.get(service=service, name=target)]
    given: dict[str, Any] = {"state": "verified", "effect_started_at": ago(seconds)}
    return a_remediation(incident, chosen, **(given | fields))


def a_series(rule: Rule, name: str, verdict: str, *, seconds: float = 0, **fields: Any) -> SeriesState:
    """A series with its verdict since so long ago."""
    given = {"phase": "firing" if verdict == "bad" else "ok", "labels": {"target": name}}
    since = ago(seconds).timestamp()
    return SeriesState.objects.create(
        rule=rule, fingerprint=name, verdict=verdict, verdict_since=since, judged_at=since, **(given | fields)
    )
