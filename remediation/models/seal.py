"""Links of the chain that makes a changed or deleted line of history show."""

from __future__ import annotations

from django.db import models

from remediation.models.transition import Transition


class Seal(models.Model):
    """number: 1, 2, 3, ... without a gap. hash: of the link before and of everything in the transition."""

    number = models.BigIntegerField(primary_key=True)
    transition = models.OneToOneField(Transition, on_delete=models.PROTECT, related_name="seal")
    hash = models.CharField(max_length=64)
    at = models.DateTimeField()

    class Meta:
        ordering = ["number"]

    def __str__(self) -> str:
        return f"{self.number} {self.hash[:12]}"
