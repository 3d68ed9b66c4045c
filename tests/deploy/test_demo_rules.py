"""What Homeostat is told about the shop fits together and fits its plug-ins."""

from pathlib import Path
from typing import Any

import pytest

from deploy.demo import faults, layout, rules
from deploy.demo.config import PORT_NAMES, DemoConfig
from remediation import matchers, registry
from remediation.states import Autonomy, Severity


@pytest.fixture
def config(tmp_path: Path) -> DemoConfig:
    ports = {name: 18000 + offset for offset, name in enumerate(PORT_NAMES)}
    return DemoConfig(folder=tmp_path, sockets=Path("/run/shop"), homeostat_port=8000, ports=ports)


def names(rows: list[dict[str, Any]]) -> list[str]:
    return [row["name"] for row in rows]


def test_names_are_unique(config: DemoConfig) -> None:
    for rows in (rules.sources(config), rules.SERVICES, rules.targets(config), rules.RULES, rules.PLAYBOOKS):
        assert len(set(names(rows))) == len(rows)


def test_every_service_that_is_named_exists(config: DemoConfig) -> None:
    known = set(names(rules.SERVICES))
    named = {row["service"] for row in [*rules.targets(config), *rules.RULES]}
    needed = {name for row in rules.SERVICES for name in row["depends_on"]}
    assert (named | needed | {fault.service for fault in faults.list_faults()}) - known == set()


def test_targets_are_valid_and_name_processes_that_exist(config: DemoConfig) -> None:
    for row in rules.targets(config):
        params = registry.backend(row["backend"]).parse(row["params"])
        process = getattr(params, "process", "")
        assert process == "" or process.split(":")[1] in layout.PROCESSES


@pytest.mark.parametrize("row", rules.RULES, ids=names(rules.RULES))
def test_rule_is_valid(row: dict[str, Any]) -> None:
    registry.detector(row["detector"]).parse(row["params"])
    assert row["severity"] in set(Severity)
    if row["detector"] == "firing_alert":
        assert matchers.parse(row["query"])


@pytest.mark.parametrize("row", rules.PLAYBOOKS, ids=names(rules.PLAYBOOKS))
def test_playbook_serves_one_rule_and_can_choose_one_target(row: dict[str, Any], config: DemoConfig) -> None:
    served = [rule for rule in rules.RULES if matchers.matches(row["matchers"], {"alertname": rule["name"]})]
    assert len(served) == 1
    assert row["autonomy"] in set(Autonomy)
    for step in row["steps"]:
        verb = registry.verb(step["verb"])
        verb.parse(step["params"])
        chosen = [target for target in rules.targets(config) if fits(target, step, served[0]["service"])]
        assert chosen
        for target in chosen:
            verb.fits(registry.backend(target["backend"]))
        # Without an own label on each, one incident would be about all of them.
        assert len(chosen) == 1 or len({target["labels"]["target"] for target in chosen}) == len(chosen)


def fits(target: dict[str, Any], step: dict[str, Any], service: str) -> bool:
    selectable = {**target["labels"], "name": target["name"], "role": target["role"], "backend": target["backend"]}
    return target["service"] == service and matchers.matches(step["select"], selectable)


def test_what_is_no_fault_meets_no_playbook() -> None:
    for name in ("TrafficLow", "PaymentsUnobserved"):
        assert not [row for row in rules.PLAYBOOKS if matchers.matches(row["matchers"], {"alertname": name})]


def test_the_faults_are_the_ones_that_are_documented() -> None:
    found = {fault.name: fault.real for fault in faults.list_faults()}
    assert found == {
        "crash": True,
        "hang": True,
        "errors": True,
        "latency": True,
        "leak": True,
        "overload": True,
        "primary-death": True,
        "dependency": True,
        "traffic-dip": False,
        "scrape-gap": False,
    }
    with pytest.raises(faults.UnknownFaultError, match="crash, hang"):
        faults.get("flood")
