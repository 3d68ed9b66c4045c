"""Signs of life of the stages: the loop watches itself."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import models
from django.utils.translation import gettext_lazy

from remediation import conf

GRACE_S = 3
"""A sign is written at the end of some work: this much later than expected is still alive."""


class Heartbeat(models.Model):
    stage = models.CharField(max_length=100, unique=True)
    at = models.DateTimeField()
    every_s = models.FloatField(default=0, help_text=gettext_lazy("How often a sign is expected; 0 only on demand."))
    detail = models.JSONField(default=dict)

    def __str__(self) -> str:
        return self.stage

    def is_stalled(self, now: datetime) -> bool:
        """Whether its sign of life is overdue; never of a stage that works on demand."""
        late = timedelta(seconds=conf.STALL_INTERVALS * self.every_s + GRACE_S)
        return self.every_s > 0 and now - self.at > late

    @classmethod
    def beat(cls, stage: str, *, now: datetime, every_s: float = 0, detail: dict[str, object] | None = None) -> None:
        values = {"at": now, "every_s": every_s, "detail": detail or {}}
        if not cls.objects.filter(stage=stage).update(**values):
            cls.objects.get_or_create(stage=stage, defaults=values)

    @classmethod
    def expect(cls, stage: str, *, now: datetime, every_s: float) -> None:
        """A sign of life is due from now on: one that never comes would leave no row that grows old."""
        cls.objects.get_or_create(stage=stage, defaults={"at": now, "every_s": every_s})
