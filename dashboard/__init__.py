"""The face of Homeostat and its Django project package."""

from dashboard.celery import app as celery_app

__all__ = ["celery_app"]
