"""A time in which so much went bad at once that the observer is the likelier fault."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy

from remediation.models.source import Source


class Storm(models.Model):
    """Holds all automation on what its source sees, until it has been calm for a while."""

    KIND = "storm"
    DISMISSED = "dismissed"
    """Among the numbers: who said that this is none, why, and until when that holds."""

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="storms")
    began_at = models.DateTimeField()
    last_at = models.DateTimeField(help_text=gettext_lazy("When it was last too much."))
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

    def dismissed(self, now: datetime) -> dict[str, Any] | None:
        """Who says that this is no storm, and why; None once the time is over, and for what cannot be read."""
        said = self.numbers.get(self.DISMISSED)
        if not isinstance(said, dict):
            return None
        begins, ends = said.get("at"), said.get("until")
        if not (isinstance(begins, int | float) and isinstance(ends, int | float)):
            return None
        # What was said ahead of now was said by a clock that has since been set back.
        return said if begins <= now.timestamp() < ends else None

    def dismissed_until(self) -> datetime | None:
        """When that ends, or ended; None where nobody said so."""
        said = self.numbers.get(self.DISMISSED)
        until = said.get("until") if isinstance(said, dict) else None
        return datetime.fromtimestamp(until, UTC) if isinstance(until, int | float) else None
