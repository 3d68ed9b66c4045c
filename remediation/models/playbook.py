"""What to do about which incidents, and how far alone."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from remediation.models.base import Seconds, clean_params, validate_matchers
from remediation.states import Autonomy

STEP_FIELDS = (
    *("position", "verb", "params", "select", "max_targets", "max_attempts", "timeout_s"),
    *("approvals", "approval_ttl_s", "cooldown_s", "budget", "budget_window_s"),
    *("good_samples", "verify_within_s", "settle_s"),
)


class Playbook(models.Model):
    name = models.CharField(max_length=100, unique=True)
    description = models.TextField(blank=True)
    matchers = models.CharField(
        max_length=1000,
        validators=[validate_matchers],
        help_text='Incidents it serves: alertname="AppDown", severity="critical".',
    )
    autonomy = models.CharField(max_length=10, choices=[(a, a) for a in Autonomy], default=Autonomy.SHADOW)
    priority = models.IntegerField(default=0, help_text="Where several fit, the highest is taken; then the oldest.")
    enabled = models.BooleanField(default=True)
    version = models.PositiveIntegerField(default=0, editable=False)

    class Meta:
        ordering = ["-priority", "pk"]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        if not self.matchers.strip():
            raise ValidationError({"matchers": "Say which incidents it serves; an empty text would mean all of them."})

    def body(self) -> dict[str, Any]:
        steps = [{name: getattr(step, name) for name in STEP_FIELDS} for step in self.steps.order_by("position")]
        return {"name": self.name, "matchers": self.matchers, "steps": steps}

    def keep_version(self, *, author: str, now: datetime, keep_autonomy: bool = False) -> PlaybookVersion:
        """Write a new version when what it does has changed. Edited, it loses `auto`: it has to be trusted anew."""
        latest = self.versions.order_by("-number").first()
        if latest is not None and latest.body == self.body():
            return latest
        number = latest.number + 1 if latest else 1
        changes: dict[str, Any] = {"version": number}
        if latest is not None and self.autonomy == Autonomy.AUTO and not keep_autonomy:
            changes["autonomy"] = Autonomy.APPROVE
        Playbook.objects.filter(pk=self.pk).update(**changes)
        for name, value in changes.items():
            setattr(self, name, value)
        return PlaybookVersion.objects.create(playbook=self, number=number, body=self.body(), author=author, at=now)


class PlaybookVersion(models.Model):
    playbook = models.ForeignKey(Playbook, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    body = models.JSONField()
    author = models.CharField(max_length=150)
    at = models.DateTimeField()

    class Meta:
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["playbook", "number"], name="playbook_version_number")]

    def __str__(self) -> str:
        return f"{self.playbook} v{self.number}"


class Step(models.Model):
    """One rung of a ladder. The next rung follows when this one did not help."""

    playbook = models.ForeignKey(Playbook, on_delete=models.CASCADE, related_name="steps")
    position = models.PositiveSmallIntegerField(default=1)
    verb = models.CharField(max_length=50)
    params = models.JSONField("parameters", default=dict, blank=True)
    select = models.CharField(
        "select targets",
        max_length=500,
        blank=True,
        validators=[validate_matchers],
        help_text='Among the targets of the incident\'s service: role="instance", backend="haproxy", name=~"app-.*". '
        "A target whose labels contradict the incident's is never chosen.",
    )
    max_targets = models.PositiveSmallIntegerField(default=1, validators=[MinValueValidator(1), MaxValueValidator(100)])
    max_attempts = models.PositiveSmallIntegerField(
        default=1, validators=[MinValueValidator(1), MaxValueValidator(10)], help_text="Per episode."
    )
    timeout_s = Seconds("deadline of the effect (s)", default=30, validators=[MinValueValidator(1)])

    approvals = models.PositiveSmallIntegerField(default=1, validators=[MinValueValidator(1), MaxValueValidator(2)])
    approval_ttl_s = Seconds("approval expires after (s)", default=900, validators=[MinValueValidator(5)])

    cooldown_s = Seconds("cooldown (s)", default=60, help_text="Between two effects on one target.")
    budget = models.PositiveSmallIntegerField(default=3, help_text="Effects on one service per budget window.")
    budget_window_s = Seconds("budget window (s)", default=3600)

    good_samples = models.PositiveSmallIntegerField(default=3, validators=[MinValueValidator(1)])
    verify_within_s = Seconds("verify within (s)", default=60, validators=[MinValueValidator(1)])
    settle_s = Seconds("settle (s)", default=0, help_text="Wait after the effect before samples count.")

    class Meta:
        ordering = ["playbook", "position"]
        constraints = [models.UniqueConstraint(fields=["playbook", "position"], name="step_position")]

    def __str__(self) -> str:
        return f"{self.playbook} {self.position}. {self.verb}"

    def clean(self) -> None:
        clean_params("verb", self.verb, self.params)
