"""Whether a step may still act on a service by itself."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy

from remediation.models.playbook import Playbook
from remediation.models.service import Service


class Breaker(models.Model):
    """One per step and service. Bad verdicts open it; open, nothing passes; half-open, one attempt that a person
    approved; only a verified attempt closes it."""

    KIND = "breaker"

    class State(models.TextChoices):
        CLOSED = "closed"
        OPEN = "open"
        HALF_OPEN = "half_open"

    playbook = models.ForeignKey(Playbook, on_delete=models.CASCADE, related_name="breakers")
    position = models.PositiveSmallIntegerField()
    service = models.ForeignKey(Service, on_delete=models.CASCADE, null=True, related_name="breakers")
    state = models.CharField(max_length=10, choices=State, default=State.CLOSED)
    bad = models.PositiveSmallIntegerField(
        default=0, help_text=gettext_lazy("Bad verdicts since the last verified one.")
    )
    reason = models.TextField(blank=True)
    changed_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["playbook", "position", "service"], name="breaker_once"),
            models.UniqueConstraint(
                fields=["playbook", "position"], condition=Q(service=None), name="breaker_once_without_service"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.playbook} {self.position} on {self.service or 'any service'}: {self.state}"
