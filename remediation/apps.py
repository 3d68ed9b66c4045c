"""Registers the loop with Django."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class RemediationConfig(AppConfig):
    name = "remediation"
    verbose_name = "Homeostat"

    def ready(self) -> None:
        from remediation import breakers, checks, episodes  # noqa: F401, PLC0415 - checks registers the system checks
        from remediation.models import names  # noqa: PLC0415 - models are ready only now
        from remediation.models.roles import ensure_roles  # noqa: PLC0415 - models are ready only now

        breakers.connect()
        episodes.connect()
        names.translate(self)
        post_migrate.connect(ensure_roles, sender=self)
