"""The demo's real servers: they start, are scraped, break, fail over, and leave nothing behind."""

import io
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from dashboard.processes import Family
from deploy.demo import faults, levers, rules, stack
from deploy.demo.config import DemoConfig

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoConfig]:
    """The running shop with its Prometheus; nobody listens where Homeostat would, so nothing heals it."""
    prepared = stack.prepare(tmp_path_factory.mktemp("home"), 1)
    with Family(out=io.StringIO()) as family:
        family.start_together(stack.children(prepared))
        # The history holds no such series, so they are live ones.
        eventually(lambda: value(prepared, 'count(process_start_time_seconds{job!="prometheus"})') == 9)
        yield prepared


def eventually(holds: Callable[[], Any], within_s: float = 15) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "it did not come to hold in time"
        time.sleep(0.2)


def values(config: DemoConfig, query: str) -> list[float]:
    answer = requests.get(f"{config.prometheus_url}/api/v1/query", {"query": query}, timeout=5).json()
    return [float(one["value"][1]) for one in answer["data"]["result"]]


def value(config: DemoConfig, query: str) -> float | None:
    found = values(config, query)
    return found[0] if len(found) == 1 else None


def items_are_served(config: DemoConfig) -> bool:
    return requests.get(f"{config.front_url}/items/1", timeout=3).status_code == 200


def test_history_runs_into_the_live_samples_without_a_gap(config: DemoConfig) -> None:
    now = time.time()
    query = 'sum(rate(haproxy_frontend_http_requests_total{proxy="front"}[20s]))'
    span: dict[str, Any] = {"query": query, "start": now - 7200, "end": now, "step": 15}
    answer = requests.get(f"{config.prometheus_url}/api/v1/query_range", span, timeout=5).json()
    points = [float(point) for _, point in answer["data"]["result"][0]["values"]]
    assert len(points) == 481
    assert min(points) > 10
    assert max(points) < 40


@pytest.mark.parametrize("name", [row["name"] for row in rules.RULES if row["detector"] == "threshold"])
def test_query_of_a_rule_has_a_value_that_is_fine(config: DemoConfig, name: str) -> None:
    rule = next(row for row in rules.RULES if row["name"] == name)
    bad = {"==": float.__eq__, ">": float.__gt__, "<": float.__lt__}[rule["params"]["op"]]
    found = values(config, rule["query"])
    assert found
    assert not [one for one in found if bad(one, float(rule["params"]["value"]))]


def test_history_and_live_samples_are_the_same_series(config: DemoConfig) -> None:
    """A history under other labels would be a second series beside the live one, and serve no baseline."""
    families = "up|http_requests_total|http_request_duration_seconds_(sum|count)|queue_depth|store_is_primary"
    old = f'{{__name__=~"{families}", job!="prometheus"}} offset 10m'
    assert value(config, f'count({old}) - count({old} and {{__name__=~"{families}"}})') == 0


def test_crash_is_seen_and_a_restart_heals_it(config: DemoConfig) -> None:
    faults.break_("crash", config)
    eventually(lambda: value(config, 'up{target="app-1"}') == 0)
    assert [one.fault.name for one in faults.active(config)] == ["crash"]
    levers.start(config, "app-1")
    eventually(lambda: value(config, 'up{target="app-1"}') == 1)
    assert faults.active(config) == ()


def test_hang_looks_different_from_a_crash(config: DemoConfig) -> None:
    hung = next(row["query"] for row in rules.RULES if row["name"] == "AppHung")
    faults.break_("hang", config)
    eventually(lambda: max(values(config, hung)) > 0.5)
    down = next(row["query"] for row in rules.RULES if row["name"] == "AppDown")
    assert 0 not in values(config, down)
    faults.mend("hang", config)
    eventually(lambda: max(values(config, hung)) == 0)


def test_stuck_payments_raise_the_alert_at_alertmanager(config: DemoConfig) -> None:
    faults.break_("dependency", config)
    eventually(lambda: requests.get(f"{config.alertmanager_url}/api/v2/alerts", timeout=5).json())
    assert value(config, 'up{job="payments"}') == 1
    faults.mend("dependency", config)
    eventually(lambda: value(config, 'http_requests_in_flight{job="payments"}') in (0, 1))


def test_store_fails_over_and_back(config: DemoConfig) -> None:
    faults.break_("primary-death", config)
    eventually(lambda: not items_are_served(config), within_s=3)
    levers.set_server(config, "store/store-1", "maint")
    levers.promote(config, "store-2")
    levers.set_server(config, "store/store-2", "ready")
    eventually(lambda: items_are_served(config))
    eventually(lambda: value(config, "sum(store_is_primary)") == 1)
    faults.mend("primary-death", config)
    eventually(lambda: items_are_served(config))
    eventually(lambda: value(config, 'store_is_primary{target="store-1"}') == 1)
    eventually(lambda: value(config, "sum(store_is_primary)") == 1)


def test_scrape_gap_hides_a_healthy_process(config: DemoConfig) -> None:
    faults.break_("scrape-gap", config)
    eventually(lambda: values(config, 'up{job="payments"}') == [])
    assert levers.is_up(config, "payments")
    faults.mend(None, config)
    eventually(lambda: value(config, 'up{job="payments"}') == 1)


def test_second_demo_over_the_same_home_is_refused(config: DemoConfig) -> None:
    with pytest.raises(stack.DemoRunningError, match="already"):
        stack.prepare(config.folder.parent, 1)
