"""What can be acted on for a service."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy

from remediation import registry
from remediation.models.base import clean_params, validate_labels
from remediation.models.service import Service
from remediation.targets.base import TargetRef


class Target(models.Model):
    service = models.ForeignKey(Service, on_delete=models.CASCADE, related_name="targets")
    name = models.SlugField(max_length=100)
    backend = models.CharField(max_length=50)
    params = models.JSONField("parameters", default=dict, blank=True)
    role = models.CharField(
        max_length=50,
        blank=True,
        help_text=gettext_lazy("What it is to its service: instance, pool, primary. Steps select by it."),
    )
    labels = models.JSONField(
        default=dict,
        blank=True,
        validators=[validate_labels],
        help_text=gettext_lazy(
            'Labels that tie it to its series: {"instance": "10.0.0.1:9100"}. An incident with another value '
            "of one of them is not about this target."
        ),
    )
    enabled = models.BooleanField(default=True)
    automation_off = models.TextField(
        blank=True,
        help_text=gettext_lazy("Why nothing automatic touches it; empty: it may. A failed undo writes this."),
    )
    automation_off_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["service__name", "name"]
        constraints = [models.UniqueConstraint(fields=["service", "name"], name="target_name_in_service")]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        clean_params("backend", self.backend, self.params)

    def ref(self) -> TargetRef:
        """What the stages pass around. Raises ConfigurationError when its backend or parameters no longer fit."""
        return TargetRef(
            id=self.pk,
            name=self.name,
            service=self.service.name,
            backend=self.backend,
            role=self.role,
            labels=self.labels,
            params=registry.backend(self.backend).parse(self.params),
        )
