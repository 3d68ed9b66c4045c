"""What machines ask for."""

from django.urls import path

from dashboard.api import health, incidents, ingest, metrics

urlpatterns = [
    path("api/ingest/alertmanager/", ingest.alertmanager, name="ingest-alertmanager"),
    path("api/incidents.json", incidents.as_json, name="api-incidents"),
    path("metrics", metrics.exposition, name="metrics"),
    path("-/healthy", health.healthy, name="healthy"),
    path("-/ready", health.ready, name="ready"),
]
