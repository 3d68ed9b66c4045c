"""A time in which so much went bad at once that the observer is the likelier fault."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from remediation.models.source import Source


class Storm(models.Model):
    """Holds all automation on what its source sees, until it has been calm for a while."""

    KIND = "storm"

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="storms")
    began_at = models.DateTimeField()
    last_at = models.DateTimeField(help_text="When it was last too much.")
    ended_at = models.DateTimeField(null=True)
    reason = models.TextField()
    numbers = models.JSONField(default=dict)

    class Meta:
        ordering = ["-began_at"]
        constraints = [
            models.UniqueConstraint(fields=["source"], condition=Q(ended_at=None), name="one_storm_per_source")
        ]

    def __str__(self) -> str:
        return f"{self.source}: {self.reason}"
