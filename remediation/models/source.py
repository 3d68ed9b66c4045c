"""A Prometheus-compatible server, and the tokens that may post alerts in its name."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import datetime

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator, URLValidator
from django.db import models
from django.utils.translation import gettext_lazy

from remediation.models.base import Seconds, validate_secret_ref

validate_http = URLValidator(schemes=["http", "https"])


class Source(models.Model):
    """Where the metrics come from. Whether it answers is in SourceStatus."""

    class Auth(models.TextChoices):
        NONE = "none", "None"
        BASIC = "basic", "User and password"
        BEARER = "bearer", "Bearer token"

    name = models.SlugField(unique=True)
    url = models.CharField(
        max_length=500,
        validators=[validate_http],
        help_text=gettext_lazy("Prometheus, Thanos, Mimir or VictoriaMetrics."),
    )
    alertmanager_url = models.CharField(max_length=500, blank=True, validators=[validate_http])
    auth = models.CharField(max_length=10, choices=Auth, default=Auth.NONE)
    username = models.CharField(max_length=200, blank=True)
    secret_ref = models.CharField(
        "secret reference",
        max_length=500,
        blank=True,
        validators=[validate_secret_ref],
        help_text=gettext_lazy(
            "Where the password or token is: env:NAME or file:/path. The secret itself is never stored."
        ),
    )
    verify_tls = models.BooleanField("verify TLS", default=True)
    timeout_s = Seconds("timeout (s)", default=10, validators=[MinValueValidator(0.1)])
    stale_after_s = Seconds(
        "stale after (s)",
        default=60,
        validators=[MinValueValidator(1)],
        help_text=gettext_lazy("A sample older than this counts as none. About three to four scrape intervals."),
    )
    pull_alerts_s = Seconds(
        "pull alerts every (s)",
        default=15,
        validators=[MinValueValidator(0)],
        help_text=gettext_lazy("How often /api/v1/alerts is read; 0 never."),
    )
    confirmed_by = models.ForeignKey(
        "self",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="confirms",
        help_text=gettext_lazy(
            "Another server that scrapes the same: nothing automatic is done unless it says the same."
        ),
    )
    enabled = models.BooleanField(default=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        if self.auth != self.Auth.NONE and not self.secret_ref:
            raise ValidationError(
                {"secret_ref": gettext_lazy("This kind of authentication needs a reference to its secret.")}
            )
        if self.auth == self.Auth.BASIC and not self.username:
            raise ValidationError({"username": gettext_lazy("Basic authentication needs a user name.")})


class SourceStatus(models.Model):
    """When a source last answered, and what it last failed with."""

    source = models.OneToOneField(Source, on_delete=models.CASCADE, related_name="status")
    answered_at = models.DateTimeField(null=True)
    failed_at = models.DateTimeField(null=True)
    error = models.TextField(blank=True)
    alerts_pulled_at = models.DateTimeField(null=True)
    alerts_slot = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.source}: {self.error if self.failing else 'answers'}"

    @property
    def failing(self) -> bool:
        return self.failed_at is not None and (self.answered_at is None or self.failed_at > self.answered_at)


class IngestToken(models.Model):
    """A token that Alertmanager's webhook must show. Only its hash is stored."""

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=100)
    hash = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, editable=False)

    def __str__(self) -> str:
        return f"{self.name} ({self.source})"

    @staticmethod
    def hash_of(token: str) -> str:
        return hashlib.sha256(token.encode()).hexdigest()

    @classmethod
    def issue(
        cls, source: Source, name: str, *, token: str = "", expires_at: datetime | None = None
    ) -> tuple[IngestToken, str]:
        """The row and the token itself, which nobody can read again."""
        token = token or secrets.token_urlsafe(32)
        row = cls.objects.create(source=source, name=name, hash=cls.hash_of(token), expires_at=expires_at)
        return row, token

    @classmethod
    def find(cls, token: str, *, now: datetime) -> IngestToken | None:
        """The valid row of a token. Looked up by its hash, so that the time taken tells nothing of the token."""
        wanted = cls.hash_of(token)
        row = cls.objects.select_related("source").filter(hash=wanted, revoked_at=None, source__enabled=True).first()
        if row is None or not hmac.compare_digest(row.hash, wanted):
            return None
        return None if row.expires_at and row.expires_at <= now else row
