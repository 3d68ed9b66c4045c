"""Every page in Simplified Chinese in Chromium: no English is left but names, queries, and what is stored."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from playwright.sync_api import Browser
from pytest_django.live_server_helper import LiveServer

from remediation.models import Incident
from tests.dashboard import every_page
from tests.dashboard.test_axe_browser import chromium, cookie, go, opened  # noqa: F401 - two of them fixtures
from tests.dashboard.test_first_run import prometheus  # noqa: F401 - a fixture

pytestmark = [pytest.mark.real, pytest.mark.browser, pytest.mark.django_db(transaction=True)]

READ = """() => {
  const said = [];
  const silent = "code, pre, kbd, script, style, template, noscript, svg defs, .label, [lang]:not(html)";
  const walker = document.createTreeWalker(document.documentElement, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (node.parentElement && !node.parentElement.closest(silent)) said.push(node.textContent);
  }
  for (const name of ["title", "aria-label", "placeholder", "alt"]) {
    for (const one of document.querySelectorAll(`[${name}]`)) {
      if (!one.closest("[lang]:not(html), .label")) said.push(one.getAttribute(name));
    }
  }
  return said.map((text) => text.replace(/\\s+/g, " ").trim()).filter(Boolean);
}"""
NAMES = frozenset(
    """Homeostat Prometheus Thanos Mimir VictoriaMetrics PromQL PostgreSQL Redis HAProxy HTTP JSON SVG PNG Markdown
    JavaScript UTC TLS URL SLO EWMA Python ID PID Wilson Newcombe Ctrl Shift Esc Enter admin operator approver viewer
    worker web beat websocket lines GMT GET POST env NAME file path node_exporter blackbox_exporter HTML Bearer MB
    SIGKILL SIGSTOP app payments store django celery channels redis prometheus api client uvicorn http severity
    Pid critical service cart pay""".split()  # noqa: SIM905 - a list of fifty would fill the screen
)
"""What is called the same in every language: products, formats, keys, roles."""
PLACE = re.compile(r"%\(\w+\)[sd]")
"""What nothing was put into."""
WORD = re.compile(r"[A-Za-z][A-Za-z_]+")
AS_WRITTEN = ("/styleguide/", "/first-run/main/", "/first-run/second/rules/redis/")
"""Samples of stored words; and what a source says and the library's rules are called."""
SENTENCE = re.compile(r"\b[A-Za-z]+(?:,? [A-Za-z]+){2,}")
"""In the admin, where names of icons are texts and examples stand in helps, only whole sentences tell."""
LETTERS = re.compile(r"[A-Za-z]{2,}")


def stored() -> list[str]:
    """Every text of the database, longest first: it is shown as it was written."""
    found: set[str] = set()
    for app in ("remediation", "auth"):
        for model in apps.get_app_config(app).get_models():
            for row in model._default_manager.values():
                found |= set(_texts(row))
            found |= {str(one) for one in model._default_manager.all()}
    found |= {incident.title for incident in Incident.objects.all()}
    return sorted((text for text in found if LETTERS.search(text)), key=len, reverse=True)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from (value, " ".join(value.split()))
    elif isinstance(value, dict):
        for name, item in value.items():
            yield str(name)
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)


def unknown(text: str, known: list[str]) -> str:
    """Without what is stored."""
    for one in known:
        if one in text:
            text = re.sub(rf"(?<![A-Za-z]){re.escape(one)}(?![A-Za-z])", " ", text)
    return text


def english(text: str, known: list[str]) -> list[str]:
    """Its words that are neither names nor stored."""
    return [word for word in WORD.findall(unknown(text, known)) if word not in NAMES]


def test_no_page_speaks_english(
    chromium: Browser,  # noqa: F811 - the fixture
    live_server: LiveServer,
    cookie: str,  # noqa: F811 - the fixture
) -> None:
    addresses, _ = every_page.pages(every_page.signed_in(cookie), live_server.url)
    context = opened(chromium, live_server, cookie, locale="zh-CN", viewport={"width": 1280, "height": 900})
    page, found, known = context.new_page(), dict[str, set[str]](), stored()
    for address in addresses:
        if address.startswith(AS_WRITTEN):
            continue
        go(page, address)
        assert page.evaluate("document.documentElement.lang") == "zh-hans", address
        for text in page.evaluate(READ):
            if words := english(text, known) + PLACE.findall(text):
                found.setdefault(text[:200], set()).add(f"{address}: {' '.join(words)}")
    for address in every_page.admin_pages():
        go(page, address)
        for text in page.evaluate(READ):
            if sentence := SENTENCE.search(unknown(text, known)):
                found.setdefault(text[:200], set()).add(f"{address}: {sentence[0]}")
    context.close()
    assert not found, "\n".join(f"{text} <- {sorted(where)[:3]}" for text, where in found.items())


def test_the_choice_wins_over_the_browser(
    chromium: Browser,  # noqa: F811 - the fixture
    live_server: LiveServer,
    cookie: str,  # noqa: F811 - the fixture
) -> None:
    context = opened(chromium, live_server, cookie, locale="zh-CN")
    context.add_cookies([{"name": settings.LANGUAGE_COOKIE_NAME, "value": "en", "url": live_server.url}])
    page = context.new_page()
    go(page, "/system/")
    assert page.evaluate("document.documentElement.lang") == "en"
    assert "System" in page.title()
    context.close()
