"""The Celery application. A message is a doorbell: it carries one id, and losing it loses nothing."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings")

app = Celery("homeostat")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["remediation"])
