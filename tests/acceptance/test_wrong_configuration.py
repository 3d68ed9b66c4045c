"""What people get wrong is said in plain words on a page or by a command, and stops nothing else."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.acceptance.running import ROOT, RunningDemo, eventually

pytestmark = pytest.mark.acceptance

WRONG = """
import json, pathlib
from django.conf import settings
from remediation.models import Rule, Service, Source, Target
home = pathlib.Path(settings.HOMEOSTAT_HOME)
shop = Source.objects.get(name="shop")
gone = Source.objects.create(name="gone", url="http://127.0.0.1:9")
secret = Source.objects.create(name="secretive", url=shop.url, auth="bearer", secret_ref="env:NOT_SET_ANYWHERE")
web = Service.objects.get(name="web")
common = {"interval_s": 1, "detector": "threshold", "params": {"op": "<", "value": 1}, "service": web}
Rule.objects.create(name="OnGone", source=gone, query="up", **common)
Rule.objects.create(name="OnSecretive", source=secret, query="up", **common)
Rule.objects.create(name="BadQuery", source=shop, query="sum(rate(up[5m])", **common)
Rule.objects.create(name="NoDetector", source=shop, query="up", **common | {"detector": "crystal_ball"})
port = settings.HOMEOSTAT_PORT
Target.objects.create(service=web, name="ourselves", backend="http", params={"url": f"http://127.0.0.1:{port}/x"})
"""
REMOVE = """
from remediation.models import Rule, Source, Target
Rule.objects.filter(name__in=["OnGone", "OnSecretive", "BadQuery", "NoDetector"]).delete()
Source.objects.filter(name__in=["gone", "secretive"]).delete()
Target.objects.filter(name="ourselves").delete()
"""


@pytest.fixture(scope="module")
def wrong(demo: RunningDemo) -> Iterator[RunningDemo]:
    demo.manage("shell", "-c", WRONG)
    yield demo
    demo.manage("shell", "-c", REMOVE)


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("/system/", "127.0.0.1:9"),
        ("/rules/", "refused"),
        ("/rules/", "NOT_SET_ANYWHERE"),
        ("/rules/", "unclosed left parenthesis"),
        ("/rules/", "there is no detector named &#x27;crystal_ball&#x27;"),
    ],
)
def test_mistake_is_said_on_the_page(wrong: RunningDemo, page: str, words: str) -> None:
    viewer = wrong.sign_in("viewer")
    eventually(f"{words!r} on {page}", lambda: words in viewer.get(page).text, within_s=20, every_s=1)


def test_check_names_each_mistake(wrong: RunningDemo) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "check", "--deploy", "--tag", "homeostat", "--database", "default"],
        env=wrong.environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = done.stdout + done.stderr
    assert "crystal_ball" in said
    assert "env:NOT_SET_ANYWHERE" in said
    assert "ourselves" in said


def test_other_rules_go_on(wrong: RunningDemo) -> None:
    def ages() -> list[tuple[str, float]]:
        return wrong.rows(
            "SELECT r.name, (julianday('now') - julianday(s.evaluated_at)) * 86400 FROM remediation_rulestatus s "
            "JOIN remediation_rule r ON r.id = s.rule_id WHERE r.name IN ('AppDown', 'AppHung', 'StorePrimaryDown')"
        )

    eventually("every one was evaluated lately", lambda: all(age < 6 for _, age in ages()), within_s=20)
    assert len(ages()) == 3
