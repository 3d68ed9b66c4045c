"""What Prometheus or Alertmanager sent, and nothing else."""

from __future__ import annotations

from django.db import models

from remediation.models.source import Source


class Alert(models.Model):
    """Idempotent on fingerprint + start: a repeated message changes nothing, a resolved one never fires again."""

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="alerts")
    fingerprint = models.CharField(max_length=16)
    starts_at = models.DateTimeField()
    status = models.CharField(max_length=10)  # firing, resolved
    ends_at = models.DateTimeField(null=True)
    labels = models.JSONField()
    annotations = models.JSONField(default=dict)
    generator_url = models.CharField(max_length=2000, blank=True)
    value = models.FloatField(null=True)
    pulled = models.BooleanField(default=False)  # seen in /api/v1/alerts, so its absence there means resolved
    received_at = models.DateTimeField()
    seen_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["source", "fingerprint", "starts_at"], name="alert_once"),
        ]
        indexes = [models.Index(fields=["source", "status"], name="alert_by_status")]

    def __str__(self) -> str:
        return f"{self.labels.get('alertname', self.fingerprint)} {self.status}"
