"""The addresses of all pages, taken from the URL map, so that a new page is tested without being named anywhere."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import requests
from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from remediation.models import (
    Backtest,
    Incident,
    Playbook,
    Problem,
    Remediation,
    Rule,
    SeriesState,
    Service,
    Source,
    Target,
)
from tests.dashboard import factories

PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")
THOROUGH = bool(os.environ.get("HOMEOSTAT_EVERY_PAGE"))
"""Set by `make pages`: the fast suite looks at one row of each page, in fewer looks, and clicks on fewer pages."""
EACH = 2 if THOROUGH else 1
"""Addresses of one route, where it has parameters: rows differ in what they show."""
DATA = (".json", ".jsonl", ".svg", ".png", ".md", ".csv")
LONG = "and-without-a-place-to-break" * 4
TRIED = 400
"""Combinations of parameters that are tried for one route."""


def fill() -> None:
    """Rows in many states for the pages to show; nothing here depends on the time of day."""
    store = factories.a_service("store", title=f"A store with a name that is longer than what fits on a card, {LONG}")
    web = factories.a_service("web", depends_on=(store,), team="shop", runbook_url="https://example.org/runbook")
    slow = {"name": "slow", "query": "latency", "detector": "threshold", "params": {"op": ">", "value": 1}}
    rule = factories.a_rule(web, annotations={"summary": "{instance} answers with errors"}, conditions=[slow])
    for verdict in ("ok", "bad", "unknown"):
        factories.a_series(rule, {"instance": f"{verdict}:9100"}, verdict=verdict)
    failing = factories.a_rule(store, error="the query was refused")
    asking = factories.an_incident(rule, labels={"instance": "10.0.0.7:9100", "path": "p" * 150})
    factories.a_remediation(asking)
    healing = factories.an_incident(failing)
    factories.a_remediation(healing, state="verifying", verb="failover", output="o" * 500)
    lost = factories.an_incident(rule, needs_person=True)
    factories.a_remediation(lost, state="ineffective")
    factories.a_decision(factories.an_incident(rule, state="resolved"))
    factories.a_playbook(autonomy="shadow")
    factories.a_source("second", failing="cannot reach it")
    now = rule.versions.latest("number").at
    times = {"start": now, "end": now, "created_at": now, "seen_at": now}
    Backtest.objects.create(rule=rule, body=rule.body(), by="ada", **times)


class Asks(Protocol):
    """What asks for pages: a session of requests, or Django's client behind the same call."""

    def get(self, url: str, /, *, timeout: float, allow_redirects: bool) -> Any: ...


def pages(session: Asks, server: str) -> tuple[list[str], list[str]]:
    """Up to EACH addresses per page; and the routes of which nothing says what they are, because no row fits them."""
    found, unreached = list[str](), list[str]()
    for route, name in _routes(get_resolver().url_patterns):
        addresses = _try(session, server, route, name)
        if addresses is None:
            unreached.append(route)
        else:
            found += addresses
    return found, unreached


def some(addresses: list[str]) -> list[str]:
    """All of them, or in the fast suite one in three."""
    return addresses if THOROUGH else addresses[::3]


def signed_in(cookie: str) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.cookies.set(settings.SESSION_COOKIE_NAME, cookie)
    return session


def admin_pages() -> list[str]:
    """The lists of all models that are configured or kept here, and the form of one row of each."""
    found = [reverse("admin:index")]
    for model in admin.site._registry:
        if model not in set(apps.get_app_config("remediation").get_models()):
            continue
        kind = model._meta.model_name
        found.append(reverse(f"admin:remediation_{kind}_changelist"))
        row = model._default_manager.first()
        if row is not None:
            found.append(reverse(f"admin:remediation_{kind}_change", args=[row.pk]))
    return found


def _routes(patterns: Sequence[Any], before: str = "") -> Iterator[tuple[str, str]]:
    for one in patterns:
        route = before + str(one.pattern)
        if isinstance(one, URLResolver):
            if one.app_name != "admin":
                yield from _routes(one.url_patterns, route)
        elif isinstance(one, URLPattern):
            yield route, one.name or ""


def _try(session: Asks, server: str, route: str, name: str) -> list[str] | None:
    """Addresses that show a whole page; none where something else answers, or only POST; None where nothing does."""
    if name == "logout" or route.endswith(DATA):
        return []
    found, answers = list[str](), False
    for values in _values(route):
        address = "/" + PARAMETER.sub(lambda match, values=values: str(values[match[1]]), route)  # type: ignore[misc]
        response = session.get(server + address, timeout=30, allow_redirects=False)
        if response.status_code in (404, 400):
            continue
        answers = True
        html = response.headers.get("Content-Type", "").startswith("text/html")
        if not (response.status_code == 200 and html and b"<html" in response.content):
            break
        found.append(address)
        if len(found) == EACH or not values:
            break
    return found if answers else None


def _keys() -> list[int]:
    """Of all rows of the models that have pages: keys go on from one test to the next."""
    models = (Incident, Remediation, Rule, Playbook, Backtest, Problem, Target)
    return sorted({key for model in models for key in model._default_manager.values_list("pk", flat=True)})


def _values(route: str) -> Iterator[Mapping[str, Any]]:
    """What the parameters of a route may be, by their names; of a name that is new here, only guesses."""
    names = PARAMETER.findall(route)
    known: dict[str, list[Any]] = {
        "pk": _keys(),
        "name": [*Service.objects.values_list("name", flat=True), *Source.objects.values_list("name", flat=True)],
        "fingerprint": list(SeriesState.objects.values_list("fingerprint", flat=True)),
        "shelf": ["redis"],
        "rule": ["RedisDown", *Rule.objects.values_list("pk", flat=True)],
    }
    for chosen in itertools.islice(itertools.product(*(known.get(name, [1, "sample"]) for name in names)), TRIED):
        yield dict(zip(names, chosen, strict=True))
