"""What to do about which incidents, and how far alone."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy

from remediation.models.base import FloatField, Seconds, clean_params, validate_matchers
from remediation.states import Autonomy

STEP_FIELDS = (
    *("position", "verb", "params", "select", "max_targets", "max_attempts", "timeout_s"),
    *("approvals", "approval_ttl_s", "cooldown_s", "budget", "budget_window_s"),
    *("good_samples", "verify_within_s", "settle_s"),
    *("min_healthy", "rollout", "domain", "budget_per_target"),
    *("verify_queries", "collateral", "undo", "relapse_s"),
)
UNUSED = {
    "min_healthy": 1,
    "rollout": "one",
    "domain": "",
    "budget_per_target": 0,
    "verify_queries": [],
    "collateral": True,
    "undo": True,
    "relapse_s": 600.0,
}
"""What a version leaves out while it is as usual, so that a playbook without it stays the version it was."""


class Playbook(models.Model):
    name = models.CharField(max_length=100, unique=True)
    description = models.TextField(blank=True)
    matchers = models.CharField(
        max_length=1000,
        validators=[validate_matchers],
        help_text=gettext_lazy('Incidents it serves: alertname="AppDown", severity="critical".'),
    )
    autonomy = models.CharField(max_length=10, choices=[(a, a) for a in Autonomy], default=Autonomy.SHADOW)
    priority = models.IntegerField(
        default=0, help_text=gettext_lazy("Where several fit, the highest is taken; then the oldest.")
    )
    enabled = models.BooleanField(default=True)
    version = models.PositiveIntegerField(default=0, editable=False)

    autonomy_since = models.DateTimeField(null=True, editable=False)
    autonomy_reason = models.TextField(
        blank=True, editable=False, help_text=gettext_lazy("Why it has the autonomy that it has.")
    )
    shadow_window_s = Seconds(
        "shadow watches for (s)",
        default=600,
        validators=[MinValueValidator(1)],
        help_text=gettext_lazy("A fault that ends within this without us has healed by itself."),
    )
    promote_after = models.PositiveSmallIntegerField(
        "promotion: attempts", default=10, help_text=gettext_lazy("Attempts it takes before more autonomy is proposed.")
    )
    promote_lift = FloatField(
        "promotion: lift",
        default=0.1,
        help_text=gettext_lazy(
            "How much likelier recovery has to be with it than without, at the lower end of the interval."
        ),
    )
    silence_days = models.PositiveSmallIntegerField(
        "forgotten after (days)", default=60, help_text=gettext_lazy("Without an attempt for so long it loses auto.")
    )
    masking_after = models.PositiveSmallIntegerField(
        "masking: repairs",
        default=5,
        help_text=gettext_lazy("The same repair verified so often makes a problem for the owner."),
    )
    masking_window_s = Seconds("masking: within (s)", default=604_800)

    class Meta:
        ordering = ["-priority", "pk"]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Trust counts from when it was given: what happened before does not take it away again."""
        before = Playbook.objects.filter(pk=self.pk).values_list("autonomy", flat=True).first() if self.pk else None
        if before is not None and before != self.autonomy:
            self.autonomy_since, self.autonomy_reason = timezone.now(), ""
            if (fields := kwargs.get("update_fields")) is not None:
                kwargs["update_fields"] = {*fields, "autonomy_since", "autonomy_reason"}
        super().save(*args, **kwargs)

    def clean(self) -> None:
        if not self.matchers.strip():
            raise ValidationError(
                {"matchers": gettext_lazy("Say which incidents it serves; an empty text would mean all of them.")}
            )

    def body(self) -> dict[str, Any]:
        steps = [step.body() for step in self.steps.order_by("position")]
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
            changes |= {"autonomy_since": now, "autonomy_reason": "it was edited, and has to be trusted anew"}
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
        help_text=gettext_lazy(
            'Among the targets of the incident\'s service: role="instance", backend="haproxy", name=~"app-.*". '
            "A target whose labels contradict the incident's is never chosen."
        ),
    )
    max_targets = models.PositiveSmallIntegerField(default=1, validators=[MinValueValidator(1), MaxValueValidator(100)])
    max_attempts = models.PositiveSmallIntegerField(
        default=1, validators=[MinValueValidator(1), MaxValueValidator(10)], help_text=gettext_lazy("Per episode.")
    )
    timeout_s = Seconds("deadline of the effect (s)", default=30, validators=[MinValueValidator(1)])

    approvals = models.PositiveSmallIntegerField(default=1, validators=[MinValueValidator(1), MaxValueValidator(2)])
    approval_ttl_s = Seconds("approval expires after (s)", default=900, validators=[MinValueValidator(5)])

    cooldown_s = Seconds("cooldown (s)", default=60, help_text=gettext_lazy("Between two effects on one target."))
    budget = models.PositiveSmallIntegerField(
        default=3, help_text=gettext_lazy("Effects on one service per budget window.")
    )
    budget_window_s = Seconds("budget window (s)", default=3600)

    good_samples = models.PositiveSmallIntegerField(default=3, validators=[MinValueValidator(1)])
    verify_within_s = Seconds("verify within (s)", default=60, validators=[MinValueValidator(1)])
    settle_s = Seconds("settle (s)", default=0, help_text=gettext_lazy("Wait after the effect before samples count."))
    verify_queries = models.JSONField(
        "verify also",
        default=list,
        blank=True,
        help_text=gettext_lazy(
            'More that has to hold for every series it gives: [{"query": "...", "op": "<", "value": 0.05}].'
        ),
    )
    collateral = models.BooleanField(
        "watch dependants",
        default=True,
        help_text=gettext_lazy("A dependant that turns bad after the effect makes it worsened."),
    )
    undo = models.BooleanField(
        "undo when worsened", default=True, help_text=gettext_lazy("Where the verb can be undone; a person otherwise.")
    )
    relapse_s = Seconds(
        "relapse within (s)",
        default=600,
        help_text=gettext_lazy("Bad again within this after verified is recorded as a relapse."),
    )

    class Rollout(models.TextChoices):
        ONE = "one", "one by one"
        DOUBLING = "doubling", "doubling: 1, 2, 4, ..."
        TOGETHER = "together", "all at once"

    rollout = models.CharField(
        max_length=10,
        choices=Rollout,
        default=Rollout.ONE,
        help_text=gettext_lazy("How many targets are repaired at a time."),
    )
    min_healthy = models.PositiveSmallIntegerField(
        default=1,
        help_text=gettext_lazy(
            "Targets of the same service and role that have to stay available; asked where there are several."
        ),
    )
    domain = models.CharField(
        "failure domain",
        max_length=100,
        blank=True,
        help_text=gettext_lazy("A label of the targets, such as zone: one of its values is touched at a time."),
    )
    budget_per_target = models.PositiveSmallIntegerField(
        default=0, help_text=gettext_lazy("Effects on one target per budget window; 0: only the service's budget.")
    )

    class Meta:
        ordering = ["playbook", "position"]
        constraints = [models.UniqueConstraint(fields=["playbook", "position"], name="step_position")]

    def __str__(self) -> str:
        return f"{self.playbook} {self.position}. {self.verb}"

    def body(self) -> dict[str, Any]:
        """What a version keeps of it."""
        found = {name: getattr(self, name) for name in STEP_FIELDS}
        return {name: value for name, value in found.items() if UNUSED.get(name, ...) != value}

    def clean(self) -> None:
        clean_params("verb", self.verb, self.params)
