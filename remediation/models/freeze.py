"""Automation paused."""

from __future__ import annotations

from datetime import datetime

from django.db import models
from django.db.models import Q

from remediation.models.service import Service


class Freeze(models.Model):
    """Without a service it holds everywhere: the kill switch."""

    service = models.ForeignKey(Service, on_delete=models.CASCADE, null=True, blank=True, related_name="freezes")
    reason = models.TextField(blank=True)
    by = models.CharField(max_length=150)
    at = models.DateTimeField()
    until = models.DateTimeField(null=True, blank=True)
    lifted_at = models.DateTimeField(null=True, blank=True)
    lifted_by = models.CharField(max_length=150, blank=True)

    class Meta:
        ordering = ["-at"]

    def __str__(self) -> str:
        return f"{self.service or 'everywhere'}: {self.reason or 'frozen'} (by {self.by})"

    @classmethod
    def active(cls, *, now: datetime, service_id: int | None = None, anywhere: bool = False) -> models.QuerySet[Freeze]:
        """Freezes that hold now: those everywhere, and those of the service (or of any, for the page).

        One holds from the moment it is written, whatever the writer's clock said.
        """
        rows = cls.objects.filter(Q(until=None) | Q(until__gt=now), lifted_at=None)
        return rows if anywhere else rows.filter(Q(service=None) | Q(service_id=service_id))
