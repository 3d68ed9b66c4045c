"""Rows in given states, built directly: what pages show does not depend on how it came about."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import count
from typing import Any

from django.contrib.auth.models import Group, User
from django.utils import timezone

from remediation.decide.plan import digest_of
from remediation.models import (
    Decision,
    Incident,
    Playbook,
    Remediation,
    RemediationTarget,
    Rule,
    RuleStatus,
    SeriesState,
    Service,
    Source,
    SourceStatus,
    Step,
    Target,
    record,
)
from remediation.models.roles import ensure_roles
from remediation.series import fingerprint
from remediation.states import REMEDIATION_LIVE, IncidentState, Outcome, RemediationState

_numbers = count(1)


def a_user(role: str = "viewer", name: str = "", *, password: str | None = None, **more: Any) -> User:
    """Without a password: hashing one takes longer than most tests."""
    ensure_roles()
    user = User.objects.create_user(name or f"{role}-{next(_numbers)}", password=password, **more)
    user.groups.add(Group.objects.get(name=role))
    return user


def a_source(name: str = "main", *, failing: str = "", now: datetime | None = None) -> Source:
    now = now or timezone.now()
    source, created = Source.objects.get_or_create(name=name, defaults={"url": f"http://{name}.example:9090"})
    if created:
        failed_at = now if failing else None
        SourceStatus.objects.create(
            source=source, answered_at=now - timedelta(seconds=5), failed_at=failed_at, error=failing
        )
    return source


def a_service(name: str = "", *, depends_on: tuple[Service, ...] = (), **more: Any) -> Service:
    service = Service.objects.create(name=name or f"service-{next(_numbers)}", **more)
    service.depends_on.set(depends_on)
    return service


def a_rule(service: Service | None, name: str = "", *, error: str = "", evaluated: bool = True, **more: Any) -> Rule:
    """A rule that was evaluated just now, without a complaint unless `error` says one."""
    now = timezone.now()
    values: dict[str, Any] = {
        "source": a_source(),
        "query": 'sum(rate(http_requests_total{status=~"5.."}[1m])) / sum(rate(http_requests_total[1m]))',
        "detector": "threshold",
        "params": {"op": ">", "value": 0.05},
        "interval_s": 5,
        "severity": "critical",
    }
    rule = Rule.objects.create(name=name or f"Rule{next(_numbers)}", service=service, **(values | more))
    rule.keep_version(author="test", now=now)
    RuleStatus.objects.create(
        rule=rule,
        evaluated_at=now if evaluated else None,
        took_ms=12,
        series=1,
        error=error,
        error_at=now if error else None,
    )
    return rule


def a_series(
    rule: Rule, labels: dict[str, str] | None = None, *, verdict: str = "ok", phase: str = "", **more: Any
) -> SeriesState:
    labels = labels if labels is not None else {"instance": f"10.0.0.{next(_numbers) % 250}:9100"}
    now = timezone.now().timestamp()
    phase = phase or {"ok": "ok", "bad": "firing", "unknown": "ok"}[verdict]
    values = {"value": 0.012, "upper": 0.05, "reason": "0.012 is at most 0.05"} | more
    return SeriesState.objects.create(
        rule=rule,
        fingerprint=fingerprint(labels),
        labels=labels,
        verdict=verdict,
        phase=phase,
        judged_at=now,
        verdict_since=now,
        phase_since=now,
        **values,
    )


def an_incident(
    rule: Rule, *, state: str = "firing", labels: dict[str, str] | None = None, age_s: float = 120, **more: Any
) -> Incident:
    now = timezone.now()
    opened = now - timedelta(seconds=age_s)
    series = labels if labels is not None else {"instance": f"10.1.0.{next(_numbers) % 250}:9100"}
    values: dict[str, Any] = {
        "series_labels": series,
        "labels": {**series, "alertname": rule.name, "severity": rule.severity},
        "annotations": rule.annotations,
        "severity": rule.severity,
        "value": 0.41,
        "upper": 0.05,
        "reason": "0.41 is above 0.05",
        "judged_at": now,
    }
    fired = opened + timedelta(seconds=10) if state != IncidentState.PENDING else None
    resolved = now - timedelta(seconds=age_s / 3) if state == IncidentState.RESOLVED else None
    incident = Incident.objects.create(
        rule=rule,
        rule_version=rule.versions.latest("number"),
        service=rule.service,
        fingerprint=fingerprint(series),
        state=state,
        state_since=resolved or fired or opened,
        opened_at=opened,
        fired_at=fired,
        resolved_at=resolved,
        **(values | more),
    )
    record(incident, "pending", now=opened, reason=values["reason"])
    if fired:
        record(incident, "firing", now=fired, reason=values["reason"], from_state="pending")
    if resolved:
        record(incident, "resolved", now=resolved, reason="0.01 is at most 0.05", from_state="firing")
    return incident


def a_playbook(verb: str = "restart", autonomy: str = "approve", name: str = "") -> Playbook:
    playbook = Playbook.objects.create(
        name=name or f"playbook-{next(_numbers)}", matchers='severity="critical"', autonomy=autonomy, version=1
    )
    Step.objects.create(playbook=playbook, position=1, verb=verb)
    return playbook


def a_target(service: Service, name: str = "") -> Target:
    return Target.objects.create(
        service=service, name=name or f"target-{next(_numbers)}", backend="supervisord", role="instance", labels={}
    )


def a_plan(target: Target, playbook: Playbook, incident: Incident, verb: str) -> dict[str, Any]:
    return {
        "playbook": {"id": playbook.pk, "name": playbook.name, "version": 1},
        "step": {
            "position": 1,
            "verb": verb,
            "params": {},
            "timeout_s": 30,
            "cooldown_s": 60,
            "budget": 3,
            "budget_window_s": 3600,
        },
        "targets": [{"id": target.pk, "name": target.name, "backend": target.backend, "role": target.role}],
        "calls": [
            {
                "target": target.name,
                "text": f"supervisor.stopProcess('{target.name}'); supervisor.startProcess('{target.name}')",
                "before": {"state": "RUNNING", "pid": 4711},
                "after": {"state": "RUNNING", "pid": "a new one"},
                "undo": "",
                "arguments": {},
            }
        ],
        "evidence": {
            "rule": incident.rule.name,
            "rule_version": 1,
            "query": incident.rule.query,
            "labels": incident.labels,
            "value": incident.value,
            "reason": incident.reason,
        },
        "verify": {"good_samples": 3, "within_s": 60, "settle_s": 0},
    }


def a_remediation(
    incident: Incident,
    *,
    state: str = "awaiting_approval",
    target: Target | None = None,
    verb: str = "restart",
    **more: Any,
) -> Remediation:
    now = timezone.now()
    assert incident.service is not None
    target = target or a_target(incident.service)
    playbook = more.pop("playbook", None) or a_playbook(verb)
    plan = a_plan(target, playbook, incident, verb)
    awaiting = state == RemediationState.AWAITING_APPROVAL
    values: dict[str, Any] = {
        "autonomy": playbook.autonomy,
        "state_since": now,
        "created_at": now - timedelta(seconds=60),
        "reason": "waits for one person" if awaiting else "",
        "expires_at": now + timedelta(minutes=12) if awaiting else None,
        "guards": [
            {
                "guard": "cooldown",
                "label": "Cooldown",
                "passed": True,
                "reason": "no effect on this target before",
                "numbers": {"cooldown_s": 60},
            },
            {
                "guard": "budget",
                "label": "Budget",
                "passed": True,
                "reason": "0 of 3 in the last hour",
                "numbers": {"used": 0, "budget": 3},
            },
        ],
    }
    row = Remediation.objects.create(
        incident=incident,
        playbook=playbook,
        playbook_version=1,
        step=playbook.steps.first(),
        verb=verb,
        state=state,
        plan=plan,
        digest=digest_of(plan),
        **(values | more),
    )
    RemediationTarget.objects.create(remediation=row, target=target, live=state in REMEDIATION_LIVE)
    record(row, "planned", now=row.created_at, reason=f"{incident.rule.name}: {incident.reason}")
    if state != RemediationState.PLANNED:
        record(row, state, now=now, reason=row.reason, from_state="planned")
    return row


def a_decision(incident: Incident, *, outcome: str = Outcome.NOTHING, summary: str = "") -> Decision:
    return Decision.objects.create(
        incident=incident,
        outcome=outcome,
        summary=summary or f"Did nothing: no playbook serves {incident.rule.name}.",
        body={
            "evidence": {"value": incident.value, "reason": incident.reason, "labels": incident.labels},
            "playbooks": ["restart-on-crash: does not fit"],
        },
        at=timezone.now(),
    )
