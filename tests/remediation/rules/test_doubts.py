"""What speaks against a rule, asked of a real Prometheus with series of two scrape intervals."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from deploy import tools
from remediation import registry
from remediation.observe.base import Access
from remediation.observe.prometheus import Prometheus
from remediation.rules import asking, declared, doubts, meaning, names, spacing, store
from remediation.rules.doubts import Asked, Doubt, Found

pytestmark = pytest.mark.real
ABOVE = {"op": ">", "value": 1}


@pytest.fixture(scope="module")
def now() -> float:
    return float(int(time.time()))


@pytest.fixture(scope="module")
def client(now: float) -> Iterator[Prometheus]:
    """`fast_total` comes every 10 s, `slow` every 60 s, both until now; `many` is 30 series."""
    patch = pytest.MonkeyPatch()
    patch.setenv(store.VARIABLE, str(tools.find("prometheus")))
    with store.running() as running:
        for every, name in ((10, "fast_total"), (60, "slow")):
            labels = {"__name__": name, "job": name.partition("_")[0], "instance": "a:80"}
            running.write((labels, now - ago, 1.0) for ago in range(900, -1, -every))
        running.write(({"__name__": "many", "pod": str(pod)}, now, 1.0) for pod in range(30))
        yield Prometheus(Access(url=running.url, stale_after_s=120))
    patch.undo()


def found(client: Any, now: float, query: str, detector: str = "threshold", **more: Any) -> Found:
    params = more.pop("params", ABOVE if detector == "threshold" else {})
    return doubts.find(client, Asked.of(query, detector, params, **more), now=now)


def codes(result: Found) -> list[str]:
    return [f"{doubt.field}:{doubt.code}" for doubt in result.doubts]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("slow", []),
        ("rate(fast_total[20s])", []),
        ("avg_over_time(slow[60s])", []),
        ("rate(fast_total[15s])", ["query:short_query"]),
        ("rate(slow[90s])", ["query:short_query"]),
        ("avg_over_time(slow[30s])", ["query:short_query"]),
        ("slow > 5", ["query:compared"]),
        ('slow{job="fats"} > 5', ["query:compared", "query:empty"]),
        ("slow > bool 5", []),
        ("100 * slow / (fast_total > 0)", ["query:empty"]),
        ("slw", ["query:unknown_metric"]),
        ('slow{jobb="slow"}', ["query:unknown_label"]),
        ('slow{nope=""}', []),
        ('slow{job="fats"}', ["query:empty"]),
        ("sum by (instnace) (slow)", ["query:unknown_label"]),
        ("sum without (anything) (slow)", []),
        ('sum by (new) (label_replace(slow, "new", "$1", "job", "(.*)"))', []),
        ("slow or absent(nobody)", []),
        ('slow{job="a" or', ["query:refused"]),
        ("slow[5m]", ["query:refused"]),
        ("3", []),
    ],
)
def test_doubts_of_a_query_that_a_threshold_judges(
    client: Prometheus, now: float, query: str, expected: list[str]
) -> None:
    assert codes(found(client, now, query)) == expected


@pytest.mark.parametrize(
    ("query", "judge", "expected"),
    [
        ("slow > 5", ("expression", {}), []),
        ('slow{job="gone"}', ("absent", {}), []),
        ("slw", ("absent", {}), ["query:unknown_metric"]),
        ('slow{job="gone"}', ("expression", ABOVE), ["query:empty"]),
        ('alertname="X"', ("firing_alert", {}), []),
        ('alertname="', ("firing_alert", {}), ["query:refused"]),
    ],
)
def test_no_answer_is_right_where_a_detector_expects_none(
    client: Prometheus, now: float, query: str, judge: tuple[str, dict[str, Any]], expected: list[str]
) -> None:
    detector, params = judge
    assert codes(found(client, now, query, detector, params=params)) == expected


def test_near_names_are_proposed(client: Prometheus, now: float) -> None:
    def words(query: str) -> str:
        return " ".join(map(str, found(client, now, query).doubts))

    assert words("fast_totl") == "The source has no metric fast_totl. Meant may be: fast_total."
    assert words('slow{jobb="slow"}') == "slow has no label jobb. Meant may be: job."
    assert words('slow{job="slwo"}').endswith("None has job=slwo. Meant may be: slow.")


def test_spans_that_are_shorter_than_the_samples_are_apart(client: Prometheus, now: float) -> None:
    assert codes(found(client, now, "slow", interval_s=60)) == []
    assert codes(found(client, now, "slow", interval_s=30)) == ["interval_s:short_interval_s"]
    # The faster of the two brings something new at every evaluation.
    assert codes(found(client, now, "slow + on() fast_total", interval_s=30)) == []
    params = {"window_s": 1500, "step_s": 15}
    assert codes(found(client, now, "slow", "zscore", params=params)) == ["params.step_s:short_step_s"]
    assert codes(found(client, now, "fast_total", "zscore", params=params)) == []


def test_a_history_without_enough_points_is_never_stored(client: Prometheus, now: float) -> None:
    (doubt,) = found(client, now, "fast_total", "ewma", params={"window_s": 60}).doubts
    assert (doubt.field, doubt.code, doubt.insist) == ("params.window_s", "few_points", False)
    window_s = float(str(doubt.remedy).split()[1].removesuffix("s"))
    assert codes(found(client, now, "fast_total", "ewma", params={"window_s": window_s})) == []


@pytest.mark.parametrize("name", registry.detectors())
def test_no_detector_is_doubted_for_its_own_defaults(name: str) -> None:
    detector = registry.detector(name)
    params = detector.parse(ABOVE if name == "threshold" else {})
    assert list(spacing.few_points(params)) == []


def test_more_series_than_can_be_judged(client: Prometheus, now: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doubts, "MANY_SERIES", 29)
    assert codes(found(client, now, "many")) == ["query:many"]
    assert found(client, now, "many").series == 30
    assert codes(found(client, now, "sum(many)")) == []


def test_a_source_that_is_away_is_one_doubt_and_raises_nothing() -> None:
    away = Prometheus(Access(url="http://127.0.0.1:1", timeout_s=1))
    assert codes(found(away, 1e9, "up")) == ["source:unreachable"]


def test_only_what_can_never_work_is_beyond_insisting(client: Prometheus, now: float) -> None:
    def insistable(query: str) -> list[bool]:
        return [doubt.insist for doubt in found(client, now, query).doubts]

    assert insistable("slow >") == [False]
    assert [insistable(query) for query in ("slw", "slow > 5", 'slow{job="x"}', "rate(slow[9s])")] == [[True]] * 4


@pytest.mark.parametrize(
    ("query", "compares"),
    [
        ("up == 0", True),
        ("(up > 1)", True),
        ("a > on(x) b", True),
        ("a > 1 and b", True),
        ("a > bool 1", False),
        ('a{x!="1"}', False),
        ("sum(a > 1)", False),
        ("", False),
    ],
)
def test_a_comparison_that_leaves_series_out(query: str, compares: bool) -> None:
    assert meaning.compares(query) is compares


def test_names_near_a_name() -> None:
    there = ["http_requests_total", "http_request_duration_seconds", "up"]
    assert names.near("http_request_total", there)[0] == "http_requests_total"
    assert names.near("UP", there) == ["up"]
    assert names.near("zzz", there) == []


def test_doubts_are_read_as_reason_and_remedy() -> None:
    assert str(Doubt(field="query", code="x", text="Wrong.", remedy="Mend it.")) == "Wrong. Mend it."


def test_rules_in_files_are_doubted_at_their_line(client: Prometheus, now: float) -> None:
    text = "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: slow > 5\n  - alert: B\n    expr: slw > 5\n"
    said = [str(problem) for problem in asking.doubted(client, declared.read([("a.yml", text)]).rules, now=now)]
    assert said == ["a.yml:7: B: The source has no metric slw. Meant may be: slow."]
