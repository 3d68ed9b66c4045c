"""The site map and two pages to compare with: as many rows in a bare Django template, and nothing."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.urls import path

from dashboard.urls import handler403, urlpatterns
from remediation.models import Service

__all__ = ["handler403", "urlpatterns"]

ROWS = engines["django"].from_string(
    """<!doctype html><ul>{% for row in rows %}
    <li><a href="{% url 'service' row.name %}"><b>{{ row.title }}</b> <span>{{ row.team }}</span></a>
    <p>{% if row.description %}{{ row.description|truncatechars:80 }}{% else %}All conditions in range{% endif %}</p>
    {% if row.runbook_url %}<a href="{{ row.runbook_url }}">Runbook</a>{% endif %}</li>
    {% endfor %}</ul>"""
)


def rows(request: HttpRequest) -> HttpResponse:
    return HttpResponse(ROWS.render({"rows": Service.objects.all()}, request))


def empty(request: HttpRequest) -> HttpResponse:
    return HttpResponse("<!doctype html><title>Empty</title>")


urlpatterns = [*urlpatterns, path("bench/rows/", rows), path("bench/empty/", empty)]
