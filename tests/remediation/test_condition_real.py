"""A rule of several conditions, asked of a real Prometheus from evaluation to incident, and looked at again."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from deploy import tools
from remediation import condition, loop
from remediation.backtest.run import Plan, run
from remediation.models import Incident, Rule, RuleStatus, Source
from remediation.rules import store
from remediation.states import Verdict

pytestmark = [pytest.mark.real, pytest.mark.django_db]

ERRORS = {
    "name": "errors",
    "query": "rate(errors_total[30s])",
    "detector": "threshold",
    "params": {"op": ">", "value": 1},
}
QUEUE = {"query": "queue", "detector": "expression", "params": {"op": ">", "value": 10}}


def series(name: str, instance: str, **more: str) -> dict[str, str]:
    return {"__name__": name, "instance": instance, **more}


def test_evaluation_look_and_backtest_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(store.VARIABLE, str(tools.find("prometheus")))
    end = timezone.now()
    with store.running() as kept:
        for back in range(60, -1, -5):
            at = end.timestamp() - back
            kept.write(
                [
                    (series("up", "a"), at, 1.0),
                    (series("latency", "a"), at, 9.0),
                    (series("latency", "b"), at, 9.0),
                    (series("errors_total", "a", code="500"), at, 10.0 * (60 - back)),
                    (series("errors_total", "b", code="500"), at, 0.0),
                    (series("requests", "a", path="x"), at, 3.0),
                    (series("requests", "a", path="y"), at, 3.0),
                    (series("requests", "b", path="x"), at, 3.0),
                ]
            )
        source = Source.objects.create(name="real", url=kept.url, stale_after_s=10)
        rule = Rule.objects.create(
            name="Slow",
            source=source,
            query="latency",
            detector="threshold",
            params={"op": ">", "value": 1},
            conditions=[ERRORS, QUEUE],
            need="2",
            traffic_query="requests",
            minimum_traffic=5,
            interval_s=1,
        )
        rule.full_clean()
        rule.keep_version(author="test", now=end)
        assert loop.evaluate(rule.pk, now=end)
        incident = Incident.objects.get()
        assert incident.series_labels == {"instance": "a"}
        assert incident.reason == ("query: 9 is above 1; errors: 10 is above 1 (2 of 3 conditions bad, 2 needed)")
        status = RuleStatus.objects.get()
        assert (status.error, status.series, status.bad, status.unknown) == ("", 2, 1, 0)
        look = condition.ask(incident, now=end)
        assert (look.verdict, look.reach_s) == (Verdict.BAD, 30)
        result = run(Plan(rule=rule, start=(end - timedelta(seconds=5)).timestamp(), end=end.timestamp()))
        assert [(one.labels, one.ended_at) for one in result.episodes] == [({"instance": "a"}, None)]
        rule.minimum_traffic = 7
        found = condition.judge(rule, now=end)
        assert [reason.partition(":")[0] for reason in found.reasons] == ["6 is less traffic than 7", "query"]
