"""One attempt of one step on one set of targets for one incident."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy

from remediation.models.incident import Incident
from remediation.models.playbook import Playbook, Step
from remediation.models.target import Target
from remediation.states import REMEDIATION_LIVE, REMEDIATION_MOVES, Autonomy, RemediationState


class Remediation(models.Model):
    MOVES = REMEDIATION_MOVES
    KIND = "remediation"

    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, related_name="remediations")
    playbook = models.ForeignKey(Playbook, on_delete=models.PROTECT, related_name="remediations")
    playbook_version = models.PositiveIntegerField()
    step = models.ForeignKey(Step, on_delete=models.SET_NULL, null=True, related_name="remediations")
    position = models.PositiveSmallIntegerField(default=1)
    attempt = models.PositiveSmallIntegerField(default=1)
    verb = models.CharField(max_length=50)
    autonomy = models.CharField(max_length=10, choices=[(a, a) for a in Autonomy])
    targets: models.ManyToManyField[Target, RemediationTarget] = models.ManyToManyField(
        Target, through="RemediationTarget", related_name="remediations"
    )

    state = models.CharField(max_length=20, default=RemediationState.PLANNED)
    state_since = models.DateTimeField()
    reason = models.TextField(blank=True, help_text=gettext_lazy("Why it is in this state."))
    created_at = models.DateTimeField()
    due_at = models.DateTimeField(null=True, help_text=gettext_lazy("When the reconcile should look again."))
    ended_at = models.DateTimeField(null=True)

    plan = models.JSONField(help_text=gettext_lazy("Targets, exact calls, before-state, evidence; never changed."))
    digest = models.CharField(max_length=64)
    guards = models.JSONField(default=list, help_text=gettext_lazy("What each guard said last, with its numbers."))
    approvals_needed = models.PositiveSmallIntegerField(default=1)
    expires_at = models.DateTimeField(null=True)

    key = models.UUIDField(default=uuid.uuid4, unique=True, help_text=gettext_lazy("Idempotency key of the effect."))
    fence = models.PositiveIntegerField(default=0, help_text=gettext_lazy("Rises with every claim."))
    worker = models.CharField(max_length=200, blank=True)
    lease_until = models.DateTimeField(null=True)
    effect_started_at = models.DateTimeField(null=True)
    effect_ended_at = models.DateTimeField(null=True)
    output = models.TextField(blank=True)
    checks = models.JSONField(
        default=list, help_text=gettext_lazy("What verification saw: time, verdict, value of each look.")
    )
    before_effect = models.JSONField(
        default=dict,
        help_text=gettext_lazy("What was bad around it when the intent was committed: collateral is what came after."),
    )
    collateral = models.JSONField(
        default=list, help_text=gettext_lazy("What turned bad after the effect, with its reason.")
    )
    undone = models.JSONField(
        default=dict, help_text=gettext_lazy("What came of the undo: started_at, ended_at, ok, output.")
    )
    relapsed_at = models.DateTimeField(
        null=True, help_text=gettext_lazy("When it was bad again, soon after it was verified.")
    )
    watch_until = models.DateTimeField(null=True, help_text=gettext_lazy("Shadow: until when the fault is watched."))
    healed_at = models.DateTimeField(null=True, help_text=gettext_lazy("Shadow: when the fault ended without us."))

    class Meta:
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["state", "due_at"], name="remediation_due")]
        permissions = [("approve", "Can approve and reject remediations")]

    def __str__(self) -> str:
        return f"{self.verb} {self.target_names}"

    @property
    def live(self) -> bool:
        return self.state in REMEDIATION_LIVE

    @property
    def target_names(self) -> str:
        return ", ".join(call["target"] for call in self.plan.get("calls", []))


class RemediationTarget(models.Model):
    """A target held by a remediation. The partial index is invariant 1: one live remediation per target."""

    remediation = models.ForeignKey(Remediation, on_delete=models.CASCADE, related_name="holds")
    target = models.ForeignKey(Target, on_delete=models.PROTECT, related_name="holds")
    live = models.BooleanField(default=True)
    effect_started_at = models.DateTimeField(null=True)
    effect_ended_at = models.DateTimeField(null=True)
    output = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["target"], condition=Q(live=True), name="one_live_remediation_per_target"),
            models.UniqueConstraint(fields=["remediation", "target"], name="target_once_per_remediation"),
        ]

    def __str__(self) -> str:
        return f"{self.target} {'held' if self.live else 'was held'} by remediation {self.remediation_id}"
