"""When nobody judged by a rule although it could be judged by before and after: nobody knows how it was meanwhile."""

from __future__ import annotations

from datetime import timedelta

from django.db import models
from django.utils.translation import gettext_lazy

from remediation.models.rule import Rule

LATE_S = 30
LATE_INTERVALS = 3


def late_after(interval_s: float) -> timedelta:
    """How old the last evaluation of a rule with this interval (seconds) may be before its verdicts say nothing."""
    return timedelta(seconds=LATE_INTERVALS * interval_s + LATE_S)


class Gap(models.Model):
    """From one evaluation of a rule to the next, where that took too long. Kept as long as something shows it."""

    rule = models.ForeignKey(Rule, on_delete=models.CASCADE, related_name="gaps")
    began_at = models.DateTimeField(
        help_text=gettext_lazy("The last evaluation before; of the first, when the rule was made.")
    )
    ended_at = models.DateTimeField(db_index=True)
    off = models.BooleanField(
        default=False, help_text=gettext_lazy("It was not to be judged by: switched off, or not switched on yet.")
    )

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.rule}: {self.began_at:%Y-%m-%d %H:%M:%S} to {self.ended_at:%H:%M:%S}"
