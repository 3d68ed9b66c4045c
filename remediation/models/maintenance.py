"""When automation is held because people are at work, once or every week."""

from __future__ import annotations

from django.core.validators import MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy

from remediation.models.base import Seconds
from remediation.models.service import Service


class MaintenanceWindow(models.Model):
    """Once from `starts_at` to `ends_at`; or, with `weekdays`, on those days from `begins` for `lasts_s`, in its own
    time zone, between `starts_at` and `ends_at` (empty: for good)."""

    KIND = "maintenance"

    name = models.CharField(max_length=100)
    service = models.ForeignKey(
        Service,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="windows",
        help_text=gettext_lazy("Empty: all."),
    )
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True, blank=True)
    weekdays = models.CharField(max_length=30, blank=True, help_text=gettext_lazy("mon,tue,...; empty: once."))
    begins = models.TimeField(
        null=True, blank=True, help_text=gettext_lazy("Time of day at which it begins on those days.")
    )
    lasts_s = Seconds("lasts (s)", default=3600, validators=[MinValueValidator(60)])
    timezone = models.CharField("time zone", max_length=60, default="UTC")
    enabled = models.BooleanField(default=True)

    class Meta:
        ordering = ["starts_at"]

    def __str__(self) -> str:
        return self.name
