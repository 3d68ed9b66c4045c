"""One open problem, and the record of what was decided about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy

from remediation.models.rule import Rule, RuleVersion
from remediation.models.service import Service
from remediation.states import INCIDENT_MOVES, IncidentState, Outcome, Severity, Verdict
from remediation.texts import fill

if TYPE_CHECKING:
    from datetime import datetime


class Incident(models.Model):
    MOVES = INCIDENT_MOVES
    KIND = "incident"

    rule = models.ForeignKey(Rule, on_delete=models.PROTECT, related_name="incidents")
    rule_version = models.ForeignKey(RuleVersion, on_delete=models.PROTECT, related_name="+")
    service = models.ForeignKey(Service, on_delete=models.SET_NULL, null=True, related_name="incidents")
    fingerprint = models.CharField(max_length=16)
    series_labels = models.JSONField()
    labels = models.JSONField()
    annotations = models.JSONField(default=dict)
    severity = models.CharField(max_length=10, default=Severity.WARNING)

    state = models.CharField(max_length=10, default=IncidentState.PENDING)
    state_since = models.DateTimeField()
    opened_at = models.DateTimeField()
    fired_at = models.DateTimeField(null=True)
    resolved_at = models.DateTimeField(null=True)

    verdict = models.CharField(max_length=10, default=Verdict.BAD)
    value = models.FloatField(null=True)
    lower = models.FloatField(null=True)
    upper = models.FloatField(null=True)
    score = models.FloatField(null=True)
    reason = models.TextField(blank=True)
    judged_at = models.DateTimeField(null=True)

    needs_person = models.BooleanField(default=False)
    attention = models.TextField(blank=True, help_text=gettext_lazy("Why a person is needed."))
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    acknowledged_at = models.DateTimeField(null=True)
    taken_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
        help_text=gettext_lazy("Who repairs it by hand: automation holds meanwhile."),
    )
    taken_until = models.DateTimeField(null=True)
    decide_at = models.DateTimeField(null=True, help_text=gettext_lazy("When the decide stage should look again."))

    class Meta:
        ordering = ["-opened_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["rule", "fingerprint"], condition=~Q(state="resolved"), name="one_open_incident_per_series"
            )
        ]
        indexes = [models.Index(fields=["state", "decide_at"], name="incident_due")]
        permissions = [("operate", "Can acknowledge, freeze and break the demo")]

    def __str__(self) -> str:
        return f"{self.rule.name} {self.fingerprint}"

    @property
    def title(self) -> str:
        """The rule's summary when it has one, its name otherwise. `{label}` is looked up, nothing is evaluated."""
        return fill(self.annotations.get("summary") or self.rule.name, self.labels, self.value)

    @property
    def open(self) -> bool:
        return self.state != IncidentState.RESOLVED

    def until(self, now: datetime) -> datetime:
        return self.resolved_at or now


class Decision(models.Model):
    """One per firing episode: what was seen, what was decided and why, including "did nothing, because"."""

    incident = models.OneToOneField(Incident, on_delete=models.CASCADE, related_name="decision")
    outcome = models.CharField(max_length=10, default=Outcome.OPEN)
    summary = models.TextField()
    body = models.JSONField(default=dict)
    at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.summary


class Note(models.Model):
    """What a person wrote on an incident."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="notes")
    author = models.CharField(max_length=150)
    text = models.TextField()
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.author}: {self.text[:60]}"
