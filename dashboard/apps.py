"""Registers the face with Django and connects the loop's announcements to the browsers."""

from django.apps import AppConfig


class DashboardConfig(AppConfig):
    name = "dashboard"

    def ready(self) -> None:
        from dashboard import signing_in  # noqa: PLC0415 - needs loaded models
        from dashboard.live import publish  # noqa: PLC0415

        publish.connect()
        signing_in.connect()
