"""Maintenance windows: once and weekly, by the clocks of their own zone, around midnight and both changes of them."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any

import pytest

from remediation.decide import windows
from remediation.decide.guards.base import Situation, ask_all
from remediation.exceptions import ConfigurationError
from remediation.models import MaintenanceWindow, Service
from tests.remediation.decide.situations import a_situation, ask
from tests.remediation.world import make_service

LONG_AGO = datetime(2025, 1, 1, tzinfo=UTC)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def weekly(days: str, begins: str, *, hours: float, zone: str = "Europe/Berlin", **fields: Any) -> MaintenanceWindow:
    given = {"starts_at": LONG_AGO, "timezone": zone, "lasts_s": hours * 3600}
    return MaintenanceWindow(name="W", weekdays=days, begins=time.fromisoformat(begins), **(given | fields))


def holds(window: MaintenanceWindow, *moments: str) -> list[bool]:
    return [windows.occurrence(window, utc(moment)) is not None for moment in moments]


def test_once_holds_from_its_start_until_before_its_end() -> None:
    window = MaintenanceWindow(name="W", starts_at=utc("2026-01-01T12:00"), ends_at=utc("2026-01-01T13:00"))
    moments = ("2026-01-01T11:59:59", "2026-01-01T12:00", "2026-01-01T12:59:59", "2026-01-01T13:00")
    assert holds(window, *moments) == [False, True, True, False]


def test_once_without_an_end_holds_until_somebody_ends_it() -> None:
    window = MaintenanceWindow(name="W", starts_at=utc("2026-01-01T12:00"))
    assert holds(window, "2026-01-01T11:59", "2036-01-01T12:00") == [False, True]


def test_weekly_is_by_the_clocks_there_in_winter_and_in_summer() -> None:
    window = weekly("tue,thu", "10:00", hours=1)
    winter = ("2026-01-06T08:59", "2026-01-06T09:00", "2026-01-06T09:59", "2026-01-06T10:00")
    summer = ("2026-07-07T07:59", "2026-07-07T08:00", "2026-07-07T08:59", "2026-07-07T09:00")
    assert holds(window, *winter) == [False, True, True, False]
    assert holds(window, *summer) == [False, True, True, False]
    assert holds(window, "2026-01-07T09:30", "2026-01-08T09:30") == [False, True]  # Wednesday, Thursday


def test_weekly_goes_on_past_midnight() -> None:
    window = weekly("fri", "23:00", hours=2)  # until Saturday 01:00 there, midnight in UTC
    moments = ("2026-01-09T21:59", "2026-01-09T22:30", "2026-01-09T23:30", "2026-01-10T00:00", "2026-01-09T00:30")
    assert holds(window, *moments) == [False, True, True, False, False]


def test_weekday_is_that_of_the_zone_and_not_of_utc() -> None:
    window = weekly("mon", "00:30", hours=1)  # Monday there, still Sunday in UTC
    assert holds(window, "2026-01-04T23:45", "2026-01-05T23:45") == [True, False]
    far_east = weekly("mon", "20:00", hours=1, zone="America/Los_Angeles")  # already Tuesday in UTC
    assert holds(far_east, "2026-01-06T04:30", "2026-01-05T04:30") == [True, False]


def test_longer_than_a_day_holds_on_the_days_after() -> None:
    window = weekly("fri", "18:00", hours=60)  # until Monday 06:00 there
    moments = ("2026-01-10T12:00", "2026-01-11T12:00", "2026-01-12T04:59", "2026-01-12T05:00")
    assert holds(window, *moments) == [True, True, True, False]


def test_clocks_go_forward_inside_it_and_it_lasts_as_long() -> None:
    """On 2026-03-29 in Berlin 02:00 becomes 03:00. From 01:00 for three hours is until 05:00 there, 03:00 UTC."""
    window = weekly("sun", "01:00", hours=3)
    assert holds(window, "2026-03-28T23:59", "2026-03-29T00:00", "2026-03-29T02:59") == [False, True, True]
    assert holds(window, "2026-03-29T03:00") == [False]


def test_time_that_the_change_skips_begins_when_it_would_have_come() -> None:
    """02:30 is not on the clocks that night: an hour and a half past midnight is 01:30 UTC, when they show 03:30."""
    window = weekly("sun", "02:30", hours=1)
    moments = ("2026-03-29T01:29", "2026-03-29T01:30", "2026-03-29T02:29", "2026-03-29T02:30")
    assert holds(window, *moments) == [False, True, True, False]


def test_clocks_go_back_inside_it_and_it_lasts_as_long() -> None:
    """On 2026-10-25 in Berlin 03:00 becomes 02:00. From 01:00 for three hours is until 03:00 there, 02:00 UTC."""
    window = weekly("sun", "01:00", hours=3)
    assert holds(window, "2026-10-24T22:59", "2026-10-24T23:00", "2026-10-25T01:59") == [False, True, True]
    assert holds(window, "2026-10-25T02:00") == [False]


def test_time_that_the_change_repeats_begins_the_first_time_only() -> None:
    """02:30 comes at 00:30 and again at 01:30 UTC."""
    window = weekly("sun", "02:30", hours=0.5)
    moments = ("2026-10-25T00:29", "2026-10-25T00:30", "2026-10-25T00:59", "2026-10-25T01:30")
    assert holds(window, *moments) == [False, True, True, False]


def test_weekly_keeps_within_its_own_bounds() -> None:
    window = weekly("mon", "10:00", hours=2, starts_at=utc("2026-01-05T09:30"), ends_at=utc("2026-01-12T09:30"))
    assert holds(window, "2026-01-05T10:00") == [False]  # it would have begun before the window starts
    assert holds(window, "2026-01-12T09:15", "2026-01-12T09:30", "2026-01-19T09:30") == [True, False, False]


def test_next_time_of_a_weekly_window() -> None:
    window = weekly("mon", "10:00", hours=1)
    found = windows.upcoming(window, utc("2026-03-23T09:30"))  # while one holds: the next is after the change
    assert found is not None
    assert (found.start, found.end) == (utc("2026-03-30T08:00"), utc("2026-03-30T09:00"))
    later = weekly("mon", "10:00", hours=1, starts_at=utc("2026-06-01T00:00"))
    first = windows.upcoming(later, utc("2026-01-01T00:00"))
    assert first is not None
    assert first.start == utc("2026-06-01T08:00")
    assert windows.upcoming(MaintenanceWindow(name="W", starts_at=LONG_AGO), utc("2026-01-01T00:00")) is None


@pytest.mark.parametrize(
    "wrong", [{"timezone": "Mars/Olympus"}, {"timezone": "../../etc/passwd"}, {"weekdays": "mon,x"}]
)
def test_window_that_cannot_be_read_says_so(wrong: dict[str, str]) -> None:
    window = weekly("mon", "10:00", hours=1)
    for name, value in wrong.items():
        setattr(window, name, value)
    with pytest.raises(ConfigurationError):
        windows.occurrence(window, utc("2026-01-01T00:00"))


# --- the guard ---


@pytest.fixture
def web(db: None) -> Service:
    return make_service()


def test_guard_holds_for_its_service_and_for_all(web: Service) -> None:
    situation = a_situation(web)
    other = make_service("cart", targets=())
    now = {"starts_at": utc("2026-01-01T11:00"), "ends_at": utc("2026-01-01T13:00"), "timezone": "Europe/Berlin"}
    MaintenanceWindow.objects.create(name="Cart", service=other, **now)
    MaintenanceWindow.objects.create(name="Off", enabled=False, **now)
    assert ask("maintenance", situation).passed
    window = MaintenanceWindow.objects.create(name="Move", service=web, **now)
    answer = ask("maintenance", situation)
    assert (answer.passed, answer.reason) == (False, "Move, until Thu 14:00 CET")
    assert answer.numbers == {"window": window.pk, "left_s": 3600}
    MaintenanceWindow.objects.filter(pk=window.pk).update(service=None)
    assert not ask("maintenance", situation).passed


def test_window_that_cannot_be_read_holds(web: Service) -> None:
    """Invariant 5."""
    situation: Situation = a_situation(web)
    MaintenanceWindow.objects.create(name="Odd", starts_at=LONG_AGO, weekdays="mon", begins=None)
    mine = next(one for one in ask_all(situation) if one["guard"] == "maintenance")
    assert (mine["passed"], mine["reason"]) == (False, "could not be evaluated (ConfigurationError), so it says no")
