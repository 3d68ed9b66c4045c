"""A person's answer to one plan."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy

from remediation.models.remediation import Remediation


class Approval(models.Model):
    class Answer(models.TextChoices):
        APPROVE = "approve"
        REJECT = "reject"

    remediation = models.ForeignKey(Remediation, on_delete=models.CASCADE, related_name="approvals")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    answer = models.CharField(max_length=10, choices=Answer)
    digest = models.CharField(max_length=64, help_text=gettext_lazy("Of the plan that was answered."))
    reason = models.TextField(blank=True)
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["remediation", "user"], name="one_answer_per_person")]

    def __str__(self) -> str:
        return f"{self.answer} by {self.user} of {self.remediation}"
