"""A person in Chromium: sees the incident appear without a reload, approves, and sees it verified."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from deploy.tools import find
from tests.acceptance.running import RunningDemo

pytestmark = [pytest.mark.acceptance, pytest.mark.browser]

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(find("chromium")), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the browser's console said against our pages: policy violations and errors."""
    return []


@pytest.fixture
def page(chromium: Browser, demo: RunningDemo, complaints: list[str]) -> Iterator[Page]:
    context = chromium.new_context(base_url=demo.url, viewport={"width": 1280, "height": 900})

    def note(message: ConsoleMessage) -> None:
        if message.type == "error":
            complaints.append(message.text)

    page = context.new_page()
    page.on("console", note)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()


def sign_in(page: Page, name: str) -> None:
    page.goto("/")
    expect(page).to_have_url(re.compile(r"/login/"))
    page.get_by_label("User").fill(name)
    page.get_by_label("Password").fill("demo")
    page.get_by_label("Password").press("Enter")
    expect(page).to_have_url(re.compile(r"/$"))


def test_incident_appears_is_approved_and_is_verified_without_reload(
    page: Page, demo: RunningDemo, complaints: list[str]
) -> None:
    sign_in(page, "approver")
    page.evaluate("window.stillTheSamePage = true")
    demo.manage("demo", "break", "errors")
    link = page.get_by_role("link", name=re.compile("Restart app-2")).first
    expect(link).to_be_visible(timeout=60_000)
    assert page.evaluate("window.stillTheSamePage") is True
    link.click()
    button = page.get_by_role("button", name=re.compile("Approve: restart app-2", re.IGNORECASE)).first
    expect(button).to_be_visible()
    button.click()
    expect(page).to_have_url(re.compile(r"/incidents/\d+/"))
    page.evaluate("window.stillTheSamePage = true")
    expect(page.get_by_text(re.compile("verified", re.IGNORECASE)).first).to_be_visible(timeout=120_000)
    assert page.evaluate("window.stillTheSamePage") is True
    assert complaints == []
    demo.manage("demo", "mend")


def test_viewer_sees_and_cannot_approve(page: Page, demo: RunningDemo, complaints: list[str]) -> None:
    sign_in(page, "viewer")
    page.goto("/approvals/")
    expect(page.get_by_role("button", name=re.compile("^Approve"))).to_have_count(0)
    assert complaints == []
