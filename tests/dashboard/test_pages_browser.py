"""The pages in Chromium: nothing the policy forbids, nothing cut off on a phone, live where websockets are blocked."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from pytest_django.live_server_helper import LiveServer

from deploy.tools import find
from remediation.models import Incident, change
from remediation.states import RemediationState
from tests.dashboard import factories

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SIZES = {"wide": (1280, 900), "phone": (375, 760)}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    # Playwright's loop lives in this thread; Django would refuse the fixtures' plain queries because of it.
    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(find("chromium")), args=ARGUMENTS)
        yield browser
        browser.close()
    if before is None:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


def signed_in(chromium: Browser, server: LiveServer, *, size: str = "wide", theme: str = "light") -> BrowserContext:
    client = Client()
    client.force_login(factories.a_user("approver"))
    width, height = SIZES[size]
    context = chromium.new_context(
        base_url=server.url,
        viewport={"width": width, "height": height},
        color_scheme="dark" if theme == "dark" else "light",
    )
    cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": server.url}])
    return context


def everything() -> list[str]:
    """Rows in many states, and the addresses of all pages that show them."""
    store = factories.a_service("store", title="A store with a name that is longer than what fits on a card")
    web = factories.a_service("web", depends_on=(store,), description="x" * 300)
    rule = factories.a_rule(web, annotations={"summary": "{instance} answers with errors"})
    factories.a_series(rule, {"instance": "a" * 120}, verdict="bad")
    asking = factories.an_incident(rule, labels={"instance": "<img src=x onerror=alert(1)>", "path": "p" * 150})
    factories.a_remediation(asking)
    healing = factories.an_incident(factories.a_rule(store))
    factories.a_remediation(healing, state="verifying", verb="failover", output="o" * 500)
    done = factories.an_incident(rule, state="resolved")
    factories.a_decision(done)
    incidents = [f"/incidents/{row.pk}/" for row in (asking, healing, done)]
    plain = ["/approvals/", "/services/web/", "/rules/", "/playbooks/", "/system/"]
    return ["/", "/incidents/?state=all", *incidents, *plain]


def note_complaints(page: Page) -> list[str]:
    """Policy violations and errors. The socket's refusal is expected: this server speaks no websocket."""
    found: list[str] = []
    page.on("pageerror", lambda error: found.append(f"{page.url}: {error}"))
    page.on(
        "console",
        lambda message: (
            found.append(f"{page.url}: {message.text}")
            if message.type in ("error", "warning") and "/ws/live/" not in message.text
            else None
        ),
    )
    page.on("dialog", lambda dialog: found.append(f"{page.url}: a script ran"))
    return found


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", sorted(SIZES))
def test_no_page_is_cut_off_or_breaks_the_policy(
    chromium: Browser, live_server: LiveServer, size: str, theme: str
) -> None:
    addresses = everything()
    context = signed_in(chromium, live_server, size=size, theme=theme)
    page = context.new_page()
    complaints = note_complaints(page)
    for address in addresses:
        page.goto(address)
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, address
    context.close()
    assert complaints == []


def test_a_change_appears_without_a_reload_where_websockets_are_blocked(
    chromium: Browser, live_server: LiveServer
) -> None:
    row = factories.an_incident(factories.a_rule(factories.a_service("web")))
    asked = factories.a_remediation(row)
    context = signed_in(chromium, live_server)
    page = context.new_page()
    page.goto("/approvals/")
    expect(page.locator("#pill")).to_have_text("polling", timeout=10_000)
    expect(page).to_have_title(re.compile(r"^\(1\) Approvals"))
    page.evaluate("window.stillTheSamePage = true")
    assert change(asked, RemediationState.SUPERSEDED, now=timezone.now(), reason="the plan no longer fits")
    expect(page.get_by_text("Nothing waits for approval.")).to_be_visible(timeout=10_000)
    expect(page).to_have_title(re.compile(r"^\[1\] Approvals"))  # nothing waits, one incident is open
    assert page.evaluate("window.stillTheSamePage") is True
    context.close()


def test_nothing_moves_while_somebody_writes(chromium: Browser, live_server: LiveServer) -> None:
    row = factories.an_incident(factories.a_rule(factories.a_service("web")))
    asked = factories.a_remediation(row)
    context = signed_in(chromium, live_server)
    page = context.new_page()
    page.goto("/approvals/")
    page.get_by_text("Reject…").click()
    page.get_by_label("Why not?").fill("because")
    assert change(asked, RemediationState.SUPERSEDED, now=timezone.now(), reason="the plan no longer fits")
    expect(page.locator("#pill")).to_have_text("polling · held", timeout=12_000)
    expect(page.get_by_label("Why not?")).to_have_value("because")
    page.get_by_role("button", name="Reject: do nothing").click()
    expect(page.get_by_text("Too late: it is superseded already")).to_be_visible()
    context.close()


def test_a_person_approves_with_the_browser_alone(chromium: Browser, live_server: LiveServer) -> None:
    """Also without JavaScript: the form on the page carries its own token."""
    row = factories.an_incident(factories.a_rule(factories.a_service("web")))
    asked = factories.a_remediation(row)
    client = Client()
    client.force_login(factories.a_user("approver"))
    context = chromium.new_context(base_url=live_server.url, java_script_enabled=False)
    cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": live_server.url}])
    page = context.new_page()
    page.goto("/approvals/")
    page.get_by_role("button", name="Approve: restart").click()
    expect(page).to_have_url(re.compile(rf"/incidents/{row.pk}/$"))
    asked.refresh_from_db()
    assert asked.state == RemediationState.READY
    context.close()


def test_the_keyboard_goes_to_pages_and_helps(chromium: Browser, live_server: LiveServer) -> None:
    context = signed_in(chromium, live_server)
    page = context.new_page()
    page.goto("/")
    page.keyboard.press("?")
    expect(page.get_by_role("heading", name="Keyboard")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("r")
    expect(page).to_have_url(re.compile(r"/rules/$"))
    assert not Incident.objects.exists()
    context.close()
