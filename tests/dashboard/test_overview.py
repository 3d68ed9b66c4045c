"""The overview: constant work, one survey for a page, strips from history, and why something is empty."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.template.loader import render_to_string
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.translation import get_language, override

from dashboard.live import fragments
from dashboard.pages import health, strips
from remediation.models import Gap, Rule, RuleStatus, RuleVersion, SeriesState, Service, record
from tests.dashboard import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(client: Client) -> Client:
    client.force_login(factories.a_user("approver", name="ann"))
    return client


def many(count: int) -> None:
    for number in range(count):
        service = factories.a_service(depends_on=tuple(Service.objects.all()[:2]))
        rule = factories.a_rule(service)
        factories.a_series(rule)
        row = factories.an_incident(rule, state=("firing", "pending", "resolved")[number % 3])
        if row.state == "firing":
            factories.a_remediation(row, state=("awaiting_approval", "verifying")[number % 2])


@pytest.mark.parametrize("path", ["/", "/?view=map", "/?view=map&show=teams"])
def test_the_same_few_queries_for_five_services_and_for_fifty(client: Client, path: str) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            assert client.get(path).status_code == 200
        return len(seen)

    many(5)
    few = queries()
    many(45)
    assert queries() == few
    assert few <= 42


def test_services_are_surveyed_once_for_a_page(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    many(3)
    looks: list[datetime] = []
    look = health.look

    def counted(now: datetime) -> health.Seen:
        looks.append(now)
        return look(now)

    monkeypatch.setattr(health, "look", counted)
    client.get("/")
    assert len(looks) == 1
    fragments.render(["states", "services", *(f"card:{pk}" for pk in Service.objects.values_list("pk", flat=True))])
    assert len(looks) == 2
    fragments.render(["states"])
    assert len(looks) == 3  # another look is another time


def test_what_did_not_change_is_not_rendered_again(monkeypatch: pytest.MonkeyPatch) -> None:
    many(4)
    keys = ["states", "services", "attention", "open", "events", "map:all", f"card:{Service.objects.latest('pk').pk}"]
    before = fragments.render(keys)
    made: list[str] = []

    def counted(template: str, context: Any) -> str:
        made.append(template)
        return render_to_string(template, context)

    monkeypatch.setattr(fragments, "render_to_string", counted)
    assert fragments.render(keys) == before
    assert made == []
    factories.an_incident(Rule.objects.latest("pk"), state="firing", needs_person=True)
    assert fragments.render(["open"])["open"].version != before["open"].version
    assert made == ["overview/_open.html"]


def test_a_kept_piece_is_kept_for_its_language(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def in_words(template: str, context: object) -> str:
        seen.append(get_language() or "")
        return f"in {get_language()}"

    fragments._kept.cache_clear()
    monkeypatch.setattr(fragments, "render_to_string", in_words)
    many(1)
    english = fragments.render(["states"])["states"]
    chinese = fragments.render(["states"], "zh-hans")["states"]
    assert (english.html, chinese.html) == ("in en", "in zh-hans")
    assert english.version != chinese.version
    with override("zh-hans"):
        assert fragments.render(["states"])["states"] == chinese
    assert fragments.render(["states"], "en")["states"] == english
    assert seen == ["en", "zh-hans"]
    fragments._kept.cache_clear()


# --- strips -------------------------------------------------------------------------------------------------------


def old(rule: Rule) -> Rule:
    RuleVersion.objects.filter(rule=rule).update(at=timezone.now() - timedelta(days=3))
    return rule


def bars(service: Service) -> Sequence[str]:
    """The tone of each bar, oldest first, read from what is drawn."""
    found: list[str] = []
    for run in strips.strips()[service.pk].runs:
        width = re.search(r"h(\d+)", run.path)
        assert width is not None
        found += [run.tone] * ((int(width[1]) + 1) // strips.WIDTH)
    assert len(found) == strips.BARS
    return found


def test_a_service_that_was_well_has_a_strip_without_times() -> None:
    service = factories.a_service("web")
    old(factories.a_rule(service))
    strip = strips.strips()[service.pk]
    assert [(run.tone, run.title) for run in strip.runs] == [("ok", "OK")]
    assert strip.summary == "Last 2 h: OK"


def test_nobody_watched_is_no_data() -> None:
    service = factories.a_service("web")
    assert set(bars(service)) == {"off"}
    factories.a_rule(service)
    assert set(bars(service)[:-1]) == {"off"}
    assert bars(service)[-1] == "ok"


def test_an_incident_that_fired_is_out_of_range_from_its_first_verdict_to_its_end() -> None:
    service = factories.a_service("web")
    rule = old(factories.a_rule(service))
    now = timezone.now()
    row = factories.an_incident(rule, state="resolved", age_s=3600)
    row.resolved_at = now - timedelta(minutes=30)
    row.save()
    found = bars(service)
    first, last = ([*found].index("firing"), len(found) - 1 - [*found][::-1].index("firing"))
    assert 39 - first in (19, 20)
    assert 39 - last in (9, 10)
    assert set(found[first : last + 1]) == {"firing"}
    factories.an_incident(rule, state="pending")
    assert bars(service)[-1] == "ok"
    factories.an_incident(rule)
    assert bars(service)[-1] == "firing"


def test_what_was_not_seen_is_unknown() -> None:
    service = factories.a_service("web")
    rule = old(factories.a_rule(service))
    now = timezone.now()
    record(rule, "known again", now=now - timedelta(minutes=100))
    record(rule, "unknown", now=now - timedelta(minutes=50))
    record(rule, "known again", now=now - timedelta(minutes=40))
    found = bars(service)
    assert found[0] == "unknown"  # it was so before the first line says that it ended
    assert 3 <= found[10:].count("unknown") <= 5
    assert found[-1] == "ok"
    lost = factories.a_series(rule, verdict="unknown")
    SeriesState.objects.filter(pk=lost.pk).update(verdict_since=(now - timedelta(minutes=20)).timestamp())
    assert set(bars(service)[-6:]) == {"unknown"}


def a_gap(rule: Rule, began_min: float, ended_min: float, *, off: bool = False) -> None:
    """Minutes ago."""
    now = timezone.now()
    began, ended = now - timedelta(minutes=began_min), now - timedelta(minutes=ended_min)
    Gap.objects.create(rule=rule, began_at=began, ended_at=ended, off=off)


def test_when_homeostat_did_not_look_nothing_is_ok() -> None:
    service = factories.a_service("web")
    one, _ = old(factories.a_rule(service)), old(factories.a_rule(service))
    a_gap(one, 50, 40)
    found = bars(service)
    assert 3 <= found.count("unwatched") <= 5
    assert set(found) == {"ok", "unwatched"}
    assert found[-1] == "ok"
    assert "Not watched" in strips.strips()[service.pk].summary
    RuleStatus.objects.filter(rule=one).update(evaluated_at=timezone.now() - timedelta(minutes=20))
    assert set(bars(service)[-6:]) == {"unwatched"}


def test_a_rule_of_no_service_that_is_late_is_missed_by_those_it_watches() -> None:
    web, other = factories.a_service("web"), factories.a_service("other")
    old(factories.a_rule(other))
    loose = old(factories.a_rule(None, "Loose"))
    for instance in ("a", "b"):
        factories.a_series(loose, {"service": "web", "instance": instance})
    late = timezone.now() - timedelta(minutes=20)
    RuleStatus.objects.filter(rule=loose).update(evaluated_at=late)
    seen = {one.id: one for one in health.survey(now=timezone.now())}
    assert seen[web.pk].state == "unknown"
    assert seen[web.pk].because == f"Loose has not been evaluated since {late:%H:%M:%S} UTC"
    assert seen[other.pk].state == "ok"
    assert set(bars(web)[-6:]) == {"unwatched"}
    assert set(bars(other)) == {"ok"}


def test_what_fired_before_and_after_is_not_known_to_have_fired_meanwhile() -> None:
    service = factories.a_service("web")
    rule = old(factories.a_rule(service))
    factories.an_incident(rule, age_s=6000)
    assert bars(service)[10] == "firing"
    a_gap(rule, 95, 20)
    found = bars(service)
    assert found[6] == found[-1] == "firing"
    assert set(found[11:32]) == {"unwatched"}
    factories.an_incident(old(factories.a_rule(service)), age_s=6000)
    assert set(bars(service)[11:32]) == {"firing"}


def test_a_rule_that_was_off_is_not_missed_while_another_watched() -> None:
    service = factories.a_service("web")
    rule = old(factories.a_rule(service))
    a_gap(rule, 70, 10, off=True)
    assert bars(service)[25] == "off"
    assert {bars(service)[0], bars(service)[-1]} == {"ok"}
    old(factories.a_rule(service))
    assert set(bars(service)) == {"ok"}


def test_a_strip_names_its_times_and_lengths() -> None:
    first = int(datetime(2026, 1, 5, 10, tzinfo=UTC).timestamp()) // strips.BAR_S
    found = strips.strip_of((strips.OK,) * 30 + (strips.BAD,) * 4 + (strips.UNKNOWN,) * 6, first, "en")
    assert [run.title for run in found.runs] == [
        "OK, 10:00 to 11:30 UTC",
        "Out of range, 11:30 to 11:42 UTC",
        "Unknown, 11:42 to 12:00 UTC",
    ]
    assert found.summary == "Last 2 h: Out of range 12 min, Unknown 18 min"
    assert len({run.path.count("M") for run in found.runs} | {run.path.split("h")[0] for run in found.runs}) > 3


def test_the_strip_is_a_piece_of_its_own() -> None:
    service = factories.a_service("web")
    factories.an_incident(factories.a_rule(service))
    piece = fragments.render([f"strip:{service.pk}"])[f"strip:{service.pk}"]
    assert "Out of range" in piece.html
    assert 'role="img"' in piece.html


# --- what is said -------------------------------------------------------------------------------------------------


def test_an_empty_overview_says_why(client: Client) -> None:
    assert "no Prometheus was added" in client.get("/").content.decode()
    factories.a_source()
    assert "no rule asks it anything yet" in client.get("/").content.decode()
    factories.a_rule(None)
    assert "belongs to no service" in client.get("/").content.decode()


def test_no_open_incident_is_no_good_news_where_services_are_unknown(client: Client) -> None:
    factories.a_service("web")
    page = client.get("/").content.decode()
    assert "No open incident." in page
    assert "1 service is unknown: nothing can be said of it." in page


def test_more_than_fits_is_counted(client: Client) -> None:
    rule = factories.a_rule(factories.a_service("web"))
    for number in range(15):
        factories.an_incident(rule, labels={"instance": f"i{number}"}, needs_person=True)
    page = client.get("/").content.decode()
    assert page.count('id="todo-i') == 12
    assert "3 more to look at" in page


@pytest.mark.parametrize("query", ["view=nonsense", "view=map&show=nonsense", "view=map&show=team%3D%00", "view=map"])
def test_every_address_of_the_overview_shows_something(client: Client, query: str) -> None:
    many(2)
    assert client.get(f"/?{query}").status_code == 200
