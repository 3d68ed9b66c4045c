"""The preview below a rule's query: verdicts now, or what is wrong, without keeping anything."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from remediation.admin import preview
from remediation.models import Rule, Source, SourceStatus
from tests.remediation.admin.test_admin_rules import ADD, form

pytestmark = pytest.mark.django_db
PREVIEW = "/admin/remediation/rule/preview/"


@pytest.fixture(autouse=True)
def no_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy this machine is, the source counts as a quick one."""
    monkeypatch.setattr(preview, "QUICK_S", 3600.0)


def shown(admin: Client, asked: Source, /, **fields: Any) -> dict[str, Any]:
    answer: dict[str, Any] = admin.post(PREVIEW, form(asked) | fields).json()
    return answer


def test_the_verdicts_of_now_are_told_and_nothing_is_kept(admin: Client, source: Source) -> None:
    told = shown(admin, source, **{"params-op": ">", "params-value": "0.5"})
    assert {name: told[name] for name in ("series", "bad", "unknown", "ok")} == {
        "series": 1,
        "bad": 1,
        "unknown": 0,
        "ok": 0,
    }
    assert told["rows"] == [
        {"labels": {"job": "cart"}, "verdict": "bad", "value": 1.0, "reason": "1 is above 0.5"},
    ]
    assert not Rule.objects.exists()
    assert not SourceStatus.objects.exists()


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"query": "bad("}, {"field": "query", "error": 'unclosed "(" <b>'}),
        ({"query": " "}, {}),
        ({"source": ""}, {}),
        ({"detector": "firing_alert", "query": "=~"}, None),
        ({"query": "nothing"}, {"series": 0, "rows": [], "ok": 0, "bad": 0, "unknown": 0}),
        ({"params-value": "much"}, {"series": 1, "rows": [{"labels": {"job": "cart"}}]}),
        ({"detector": "zscore"}, {"series": 1, "rows": [{"labels": {"job": "cart"}}]}),
        ({"detector": ""}, {"series": 1, "rows": [{"labels": {"job": "cart"}}]}),
    ],
)
def test_what_cannot_be_judged_yet_says_what_it_can(
    admin: Client, source: Source, fields: dict[str, str], told: dict[str, Any] | None
) -> None:
    found = shown(admin, source, **fields)
    if told is None:
        assert found["field"] == "query"
    else:
        assert {name: found[name] for name in found if name not in ("spark", "doubts")} == told


def test_what_would_be_refused_is_told_while_it_is_typed(admin: Client, source: Source) -> None:
    assert shown(admin, source)["doubts"] == []
    assert shown(admin, source, query="nothing")["doubts"][0].startswith("The query matches no series")
    assert "Write only up here" in shown(admin, source, query="up > 0")["doubts"][0]
    assert "interval" not in shown(admin, source, interval_s="soon")


def test_a_slow_source_is_not_asked_more_than_needed(
    admin: Client, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preview, "QUICK_S", 0.0)
    assert "doubts" not in shown(admin, source, query="up > 0")


def test_a_source_that_is_away_is_named(admin: Client, away: Source) -> None:
    assert shown(admin, away)["field"] == "source"


def test_only_who_may_edit_rules_gets_one_and_only_by_post(admin: Client, source: Source) -> None:
    assert admin.get(PREVIEW).status_code == 405
    person = User.objects.create_user("vic", is_staff=True)
    person.groups.add(Group.objects.get(name="viewer"))
    viewer = Client()
    viewer.force_login(person)
    assert viewer.post(PREVIEW, form(source)).status_code == 403
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.get(username="ada"))
    assert strict.post(PREVIEW, form(source)).status_code == 403


def test_the_form_brings_the_module_along(admin: Client, source: Source) -> None:
    page = admin.get(ADD).content.decode()
    assert f'data-preview-url="{PREVIEW}"' in page
    assert "remediation/preview.js" in page
    assert "remediation/params.js" in page
