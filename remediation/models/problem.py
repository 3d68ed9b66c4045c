"""A fault that is repaired again and again, so that nobody notices it any more."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy

from remediation.models.playbook import Playbook
from remediation.models.rule import Rule
from remediation.models.service import Service


class Problem(models.Model):
    """For the owner of a service: the same repair of the same fault was verified many times."""

    KIND = "problem"

    rule = models.ForeignKey(Rule, on_delete=models.CASCADE, related_name="problems")
    service = models.ForeignKey(Service, on_delete=models.CASCADE, null=True, related_name="problems")
    playbook = models.ForeignKey(Playbook, on_delete=models.CASCADE, related_name="problems")
    position = models.PositiveSmallIntegerField()
    verb = models.CharField(max_length=50)
    opened_at = models.DateTimeField()
    last_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)
    closed_by = models.CharField(max_length=150, blank=True)
    repairs = models.PositiveIntegerField(default=0)
    trend = models.JSONField(default=list, help_text=gettext_lazy("Repairs per day, the oldest first."))

    class Meta:
        ordering = ["-last_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["rule", "service", "playbook", "position"], condition=Q(closed_at=None), name="one_open_problem"
            ),
            models.UniqueConstraint(
                fields=["rule", "playbook", "position"],
                condition=Q(closed_at=None, service=None),
                name="one_open_problem_without_service",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.rule}: {self.verb} {self.repairs} times"
