"""The incidents that one evaluation opens."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from typing import Any

from remediation import texts
from remediation.decide.match import first_fitting
from remediation.doorbell import ring_after_commit
from remediation.models import HOMEOSTAT, Incident, Prepared, Rule, RuleVersion, Service, record_all
from remediation.models.service import matcher_text
from remediation.redact import redacted_facts
from remediation.series import Labels
from remediation.standings import Judged
from remediation.states import IncidentState, Phase, Verdict

_versions = Prepared(lambda given: RuleVersion.objects.filter(rule=given("rule")).order_by("-number")[:1])
_all_services = Prepared(lambda given: Service.objects.order_by("name").values_list("pk", "name", "matchers"))
_service = Prepared(lambda given: Service.objects.filter(pk=given("pk")))


class Opening:
    """A storm of them costs a handful of statements."""

    def __init__(self, rule: Rule, now: datetime) -> None:
        self.rule, self.now = rule, now
        self.rows: list[Incident] = []

    @cached_property
    def version(self) -> RuleVersion:
        return _versions.first(rule=self.rule.pk) or self.rule.keep_version(author=HOMEOSTAT, now=self.now)

    @cached_property
    def services(self) -> list[tuple[int, str]]:
        """Of each its key and its matchers: there may be very many, of which one is wanted."""
        return [(pk, matcher_text(name, matchers)) for pk, name, matchers in _all_services.all()]

    def _service(self, labels: Labels) -> Service | None:
        if self.rule.service is not None:
            return self.rule.service
        found = first_fitting(labels, self.services)
        return None if found is None else _service.first(pk=found)

    def add(self, name: str, one: Judged, *, phase: Phase) -> None:
        rule, now = self.rule, self.now
        own = {name: texts.fill(text, one.labels, one.value) for name, text in rule.labels.items()}
        service = self._service({**one.labels, **own})
        # Two rules may stand for one alert, as in files of Prometheus: then both say so in their labels.
        labels = {**one.labels, "alertname": rule.name, **own, "severity": rule.severity}
        if service is not None:
            labels |= {"service": service.name} | ({"team": service.team} if service.team else {})
        firing = phase == Phase.FIRING
        self.rows.append(
            Incident(
                rule=rule,
                rule_version=self.version,
                service=service,
                fingerprint=name,
                series_labels=one.labels,
                labels=redacted_facts(labels),
                annotations=rule.annotations,
                severity=rule.severity,
                state=IncidentState.FIRING if firing else IncidentState.PENDING,
                state_since=now,
                opened_at=now,
                judged_at=now,
                fired_at=now if firing else None,
                decide_at=now if firing else None,
                **measured(one),
            )
        )

    def write(self) -> None:
        """Each incident with its first lines of history: pending, and firing where it fires at once."""
        lines: list[tuple[Incident, str, str]] = []
        for row in Incident.objects.bulk_create(self.rows, batch_size=200):
            lines.append((row, IncidentState.PENDING, ""))
            if row.state == IncidentState.FIRING:
                lines.append((row, IncidentState.FIRING, IncidentState.PENDING))
                ring_after_commit("reconcile", incident_id=row.pk)
        record_all(lines, now=self.now)


def measured(one: Judged) -> dict[str, Any]:
    """What an incident keeps of a verdict: the numbers of the last bad one, so that it still says what was wrong."""
    if one.verdict != Verdict.BAD:
        return {"verdict": one.verdict, "reason": one.reason}
    return {
        "verdict": one.verdict,
        "value": one.value,
        "score": one.score,
        "lower": one.lower,
        "upper": one.upper,
        "reason": one.reason,
    }
