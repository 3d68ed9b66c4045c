"""What people care about."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy

from remediation.models.base import validate_matchers


class Service(models.Model):
    name = models.SlugField(unique=True, max_length=100)
    title = models.CharField(max_length=200, blank=True)
    description = models.TextField(blank=True)
    team = models.CharField(max_length=100, blank=True)
    matchers = models.CharField(
        max_length=1000,
        blank=True,
        validators=[validate_matchers],
        help_text=gettext_lazy(
            'Series and alerts that belong to it: service="cart", job=~"cart|cart-db". Left empty: service="NAME".'
        ),
    )
    depends_on = models.ManyToManyField("self", symmetrical=False, blank=True, related_name="dependants")
    runbook_url = models.URLField(blank=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.title or self.name

    @property
    def matcher_text(self) -> str:
        return matcher_text(self.name, self.matchers)


def matcher_text(name: str, matchers: str) -> str:
    """What belongs to the service with this name."""
    return matchers or f'service="{name}"'
