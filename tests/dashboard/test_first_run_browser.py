"""The first run in Chromium: asked while it is typed, left and come back to, from nothing to a rule that watches."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import Browser, expect
from pytest_django.live_server_helper import LiveServer

from remediation.models import Playbook, Rule, Service, Source
from tests.dashboard import factories
from tests.dashboard.test_axe_browser import chromium, opened  # noqa: F401 - one of them a fixture
from tests.dashboard.test_first_run import prometheus  # noqa: F401 - a fixture

pytestmark = [pytest.mark.real, pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.mark.parametrize("width", [1280, 375])
def test_a_person_walks_from_nothing_to_a_first_rule_in_shadow(
    chromium: Browser,  # noqa: F811 - the fixture
    live_server: LiveServer,
    prometheus: str,  # noqa: F811 - the fixture
    width: int,
    transactional_db: Any,
) -> None:
    client = Client()
    client.force_login(factories.a_user("admin", is_staff=True))
    cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
    context = opened(chromium, live_server, cookie, viewport={"width": width, "height": 900})
    page = context.new_page()
    # 1. The overview of an empty installation leads to the first step; the address is asked while it is typed.
    page.goto("/")
    page.get_by_role("link", name="Set up, step by step").click()
    page.get_by_role("link", name="Step 1: Add a source").click()
    page.get_by_label("Address").fill("http://127.0.0.1:1")
    expect(page.locator("[data-answer]")).to_contain_text("refused; is Prometheus running there?")
    page.get_by_label("Address").fill(prometheus)
    expect(page.locator("[data-answer]")).to_contain_text("It answers.")
    assert not Source.objects.exists()
    # 2. Left and come back to: nothing is lost.
    page.goto("/rules/")
    page.goto("/first-run/source/")
    expect(page.get_by_label("Address")).to_have_value(prometheus)
    page.get_by_role("button", name="Ask and save").click()
    expect(page).to_have_url(re.compile(r"/first-run/main/services/$"))
    # 3. What was ticked is ticked still, and only that is made.
    page.get_by_label("sessions", exact=True).check()
    page.goto("/first-run/")
    page.get_by_role("link", name="Step 2").click()
    expect(page.get_by_label("sessions", exact=True)).to_be_checked()
    page.get_by_role("button", name="Watch the chosen services").click()
    expect(page.get_by_text("1 service is watched now.")).to_be_visible()
    assert list(Service.objects.values_list("name", flat=True)) == ["sessions"]
    # 4. A rule says what it would say now, and is saved in shadow.
    page.get_by_role("link", name="On to the first rule").click()
    page.get_by_role("link", name="RedisMemoryAlmostFull").click()
    expect(page.locator(".preview")).to_contain_text("95 is above 90")
    page.get_by_role("button", name="Save in shadow").click()
    expect(page.get_by_role("heading", name="All three steps are done")).to_be_visible()
    context.close()
    assert Rule.objects.get().enabled
    assert Playbook.objects.get().autonomy == "shadow"
