"""The examples of docs/rules-as-code.md: applied, and tested, as they stand there."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deploy import tools
from remediation.models import Rule, Service, Source
from remediation.rules import cases, declared, plan, store, trial
from remediation.rules.plan import Terms

PAGE = Path(__file__).resolve().parents[3] / "docs" / "rules-as-code.md"
PLAIN, OURS, TESTS = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.mark.django_db
def test_the_rule_files_apply() -> None:
    Source.objects.create(name="main", url="http://127.0.0.1:1")
    Service.objects.create(name="cart")
    found = declared.read([("cart.yml", PLAIN), ("ours.yml", OURS)])
    shown = plan.make(found, Terms())
    plan.carry_out(found, shown, Terms(), author="test", now=datetime(2026, 1, 1, tzinfo=UTC))
    rows = Rule.objects.order_by("name").values_list("name", "detector", "interval_s", "severity", "enabled")
    assert list(rows) == [
        ("Cart's queue", "threshold", 10.0, "info", False),
        ("CartDown", "expression", 15.0, "critical", True),
        ("CartHot", "threshold", 30.0, "warning", True),
        ("CartIll", "expression", 30.0, "warning", True),
        ("CartSlow", "zscore", 30.0, "warning", True),
    ]
    ill = Rule.objects.get(name="CartIll")
    assert (len(ill.conditions), ill.needed, ill.minimum_traffic) == (2, 2, 0.1)


@pytest.mark.real
def test_the_tests_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(store.VARIABLE, str(tools.find("prometheus")))
    (tmp_path / "cart.yml").write_text(PLAIN)
    (tmp_path / "tests.yml").write_text(TESTS)
    assert trial.run(cases.read(tmp_path / "tests.yml")) == []
