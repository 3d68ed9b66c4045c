"""Where each series of a rule stands; the memory of the detect stage."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy

from remediation.models.rule import Rule
from remediation.states import Phase, Verdict


class SeriesState(models.Model):
    rule = models.ForeignKey(Rule, on_delete=models.CASCADE, related_name="series_states")
    fingerprint = models.CharField(max_length=16)
    labels = models.JSONField(default=dict)
    phase = models.CharField(max_length=10, default=Phase.UNKNOWN)
    phase_since = models.FloatField(
        default=0, help_text=gettext_lazy("Seconds since the epoch, less the time spent unknown.")
    )
    verdict = models.CharField(max_length=10, default=Verdict.UNKNOWN)
    verdict_since = models.FloatField(default=0)
    judged_at = models.FloatField(default=0)
    value = models.FloatField(null=True)
    score = models.FloatField(null=True)
    lower = models.FloatField(null=True)
    upper = models.FloatField(null=True)
    reason = models.TextField(blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["rule", "fingerprint"], name="series_state_once")]

    def __str__(self) -> str:
        return f"{self.rule_id}/{self.fingerprint} {self.phase}"
