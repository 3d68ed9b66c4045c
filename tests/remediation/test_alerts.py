"""Alerts are kept once, and never fire again for a start that is over."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from remediation.decide import approval
from remediation.exceptions import ObserveError, SourceFailed
from remediation.models import Alert, Rule, SeriesState, Source, SourceStatus
from remediation.observe import alerts
from remediation.observe.answers import Answer, Samples
from remediation.observe.base import SeenAlert
from remediation.observe.inventory import SeenRule
from remediation.observe.payload import Delivery, prometheus_alerts
from remediation.repair import gate
from remediation.series import fingerprint
from remediation.states import Phase
from tests.remediation.world import World, make_playbook, make_rule, make_service, make_user

pytestmark = pytest.mark.django_db

START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
CART = {"alertname": "CartDown", "instance": "a:80", "severity": "critical"}


@pytest.fixture
def source() -> Source:
    return Source.objects.create(name="prom", url="http://127.0.0.1:1")


def seen(
    status: str = "firing",
    *,
    labels: dict[str, str] | None = None,
    start: datetime = START,
    ends_at: datetime | None = None,
    value: float | None = None,
) -> SeenAlert:
    return SeenAlert(
        labels=labels or CART,
        annotations={"summary": "down"},
        status=status,
        starts_at=start.timestamp(),
        ends_at=ends_at.timestamp() if ends_at else None,
        value=value,
    )


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def statuses() -> list[str]:
    return list(Alert.objects.order_by("pk").values_list("status", flat=True))


def value_of(source: Source, text: str = "", *, now: float = 60, answered: bool = True) -> list[float]:
    matrix = alerts.as_matrix(source.pk, text, now=at(now).timestamp(), answered=answered)
    return [float(value) for value in matrix.values[:, -1]]


def test_store_a_hundred_times_keeps_one_row_and_tells_once(source: Source) -> None:
    told = [len(alerts.store(source, [seen()], now=at(n), pulled=False)) for n in range(100)]
    assert told == [1] + [0] * 99
    row = Alert.objects.get()
    assert (row.status, row.fingerprint, row.starts_at) == ("firing", fingerprint(CART), START)
    assert row.received_at == at(0)
    assert at(99) - timedelta(seconds=alerts.SEEN_EVERY_S) <= row.seen_at <= at(99)  # not written each time


def test_store_resolved_after_firing_changes_the_row(source: Source) -> None:
    alerts.store(source, [seen()], now=at(0), pulled=False)
    changed = alerts.store(source, [seen("resolved", ends_at=at(9))], now=at(10), pulled=False)
    assert [row.status for row in changed] == statuses() == ["resolved"]
    assert Alert.objects.get().ends_at == at(9)


def test_store_resolved_before_firing_stays_resolved(source: Source) -> None:
    alerts.store(source, [seen("resolved", ends_at=at(9))], now=at(10), pulled=False)
    assert alerts.store(source, [seen()], now=at(11), pulled=False) == []
    assert statuses() == ["resolved"]


def test_store_new_start_is_a_new_alert(source: Source) -> None:
    alerts.store(source, [seen("resolved")], now=at(10), pulled=False)
    assert len(alerts.store(source, [seen(start=at(20))], now=at(21), pulled=False)) == 1
    assert statuses() == ["resolved", "firing"]


@pytest.mark.parametrize("order", list(itertools.permutations(["firing", "resolved", "firing"])))
def test_store_in_any_order_ends_resolved(source: Source, order: tuple[str, ...]) -> None:
    for second, status in enumerate(order):
        alerts.store(source, [seen(status)], now=at(second), pulled=False)
    assert statuses() == ["resolved"]


def test_store_one_message_that_says_both_is_resolved(source: Source) -> None:
    alerts.store(source, [seen("resolved"), seen("firing")], now=at(1), pulled=False)
    assert statuses() == ["resolved"]


def test_store_of_two_sources_keeps_them_apart(source: Source) -> None:
    other = Source.objects.create(name="other", url="http://127.0.0.1:2")
    alerts.store(source, [seen()], now=at(0), pulled=False)
    assert len(alerts.store(other, [seen("resolved")], now=at(1), pulled=False)) == 1
    assert statuses() == ["firing", "resolved"]


def test_store_many_is_few_queries(source: Source, django_assert_max_num_queries: Callable[[int], object]) -> None:
    many = [seen(labels={**CART, "instance": str(n)}) for n in range(1000)]
    with django_assert_max_num_queries(20):  # type: ignore[attr-defined]
        assert len(alerts.store(source, many, now=at(0), pulled=False)) == 1000


def test_pull_without_the_alert_resolves_what_was_pulled(source: Source) -> None:
    alerts.reconcile_pull(source, [seen(value=3.0)], now=at(0))
    changed = alerts.reconcile_pull(source, [], now=at(15))
    assert [(row.status, row.ends_at, row.value) for row in changed] == [("resolved", at(15), 3.0)]


def test_pull_leaves_alone_what_only_a_webhook_brought(source: Source) -> None:
    alerts.store(source, [seen()], now=at(0), pulled=False)
    assert alerts.reconcile_pull(source, [], now=at(15)) == []


def test_pull_makes_good_a_lost_resolved_message(source: Source) -> None:
    """The webhook knows another start than the pull (Prometheus sends when it fires, not when it became active)."""
    alerts.reconcile_pull(source, [seen()], now=at(0))
    alerts.store(source, [seen(start=at(5))], now=at(6), pulled=False)
    alerts.reconcile_pull(source, [], now=at(15))
    assert statuses() == ["resolved", "resolved"]


def test_pull_older_than_a_message_does_not_undo_it(source: Source) -> None:
    alerts.reconcile_pull(source, [seen()], now=at(0))
    alerts.store(source, [seen("resolved")], now=at(16), pulled=False)
    assert alerts.reconcile_pull(source, [seen()], now=at(15)) == []
    assert statuses() == ["resolved"]


def test_pull_that_still_shows_what_was_over_opens_a_new_start_once(source: Source) -> None:
    """As after a restart of Prometheus, which for a moment shows no alert and then the old one with its old start."""
    alerts.reconcile_pull(source, [seen()], now=at(0))
    alerts.reconcile_pull(source, [], now=at(15))
    told = [len(alerts.reconcile_pull(source, [seen()], now=at(second))) for second in (30, 45, 60)]
    assert told == [1, 0, 0]
    assert list(Alert.objects.order_by("pk").values_list("status", "starts_at")) == [
        ("resolved", START),
        ("firing", at(30)),
    ]


def test_pull_before_rules_were_evaluated_resolves_nothing(source: Source) -> None:
    alerts.reconcile_pull(source, [seen()], now=at(0))
    assert alerts.reconcile_pull(source, [], now=at(15), unsettled={"CartDown"}) == []


class Prometheus:
    """A source that shows no firing alert but these. pending: the alerts that are about to fire."""

    def __init__(
        self,
        *rules: SeenRule,
        firing: tuple[dict[str, Any], ...] = (),
        pending: tuple[dict[str, str], ...] = (),
        down: bool = False,
    ) -> None:
        self.seen, self.firing, self.pending, self.down = rules, firing, pending, down

    def alerts(self) -> Delivery:
        if self.down:
            raise SourceFailed("connection refused")
        return prometheus_alerts([item | {"state": "firing"} for item in self.firing])

    def rules(self) -> tuple[SeenRule, ...]:
        return self.seen

    def instant(self, query: str, *, at: float) -> Answer:
        assert query == 'ALERTS{alertstate="pending"}'
        extra = {"__name__": "ALERTS", "alertstate": "pending"}
        one = np.array([1.0])
        return Answer(
            kind="vector", series=tuple(Samples(labels=extra | item, times=one, values=one) for item in self.pending)
        )


def rule(name: str, *, health: str = "ok", state: str = "inactive") -> SeenRule:
    return SeenRule(group="g", name=name, kind="alerting", query="up == 0", health=health, state=state)


def test_pull_after_a_restart_resolves_only_what_was_evaluated(source: Source) -> None:
    alerts.reconcile_pull(source, [seen(), seen(labels={"alertname": "Other"})], now=at(0))
    restarted = Prometheus(rule("CartDown", health="unknown"), rule("Other"))
    changed = alerts.pull(source, restarted, now=at(15))
    assert [row.labels["alertname"] for row in changed] == ["Other"]


def test_pull_after_a_restart_resolves_nothing_that_is_pending_again(source: Source) -> None:
    other = {**CART, "instance": "b:80"}
    alerts.reconcile_pull(source, [seen(), seen(labels=other)], now=at(0))
    assert alerts.pull(source, Prometheus(rule("CartDown", state="pending")), now=at(10)) == []
    changed = alerts.pull(source, Prometheus(rule("CartDown", state="pending"), pending=(CART,)), now=at(15))
    assert [row.labels for row in changed] == [other]
    assert [row.status for row in alerts.pull(source, Prometheus(rule("CartDown")), now=at(30))] == ["resolved"]


ACTIVE: dict[str, Any] = {"labels": CART, "activeAt": START.isoformat()}
ODD: dict[str, Any] = {"labels": {"alertname": "B", "http.status": "500"}, "activeAt": START.isoformat()}


def test_pull_keeps_the_others_beside_an_odd_alert(source: Source, caplog: pytest.LogCaptureFixture) -> None:
    alerts.pull(source, Prometheus(firing=(ODD, ACTIVE, ODD)), now=at(0))
    assert [row.labels for row in Alert.objects.all()] == [CART]
    assert [record.getMessage() for record in caplog.records] == [
        "source prom: 2 alerts are left out, the first since 'http.status' is not a label name"
    ]


def test_pull_does_not_resolve_what_it_shows_but_cannot_keep(source: Source) -> None:
    alerts.pull(source, Prometheus(firing=(ACTIVE,)), now=at(0))
    assert alerts.pull(source, Prometheus(firing=(ACTIVE | {"activeAt": "soon"},)), now=at(15)) == []
    assert statuses() == ["firing"]


def test_pull_with_no_answer_changes_nothing(source: Source) -> None:
    alerts.reconcile_pull(source, [seen()], now=at(0))
    with pytest.raises(ObserveError):
        alerts.pull(source, Prometheus(down=True), now=at(15))
    assert statuses() == ["firing"]


def test_matrix_is_one_series_per_label_set(source: Source) -> None:
    other = {**CART, "instance": "b:80"}
    alerts.store(source, [seen(), seen("resolved", labels=other)], now=at(0), pulled=False)
    alerts.store(source, [seen("resolved", start=at(-99))], now=at(1), pulled=False)
    matrix = alerts.as_matrix(source.pk, 'alertname="CartDown"', now=at(60).timestamp(), answered=True)
    assert dict(zip((item["instance"] for item in matrix.labels), matrix.values[:, 0], strict=True)) == {
        "a:80": 1.0,
        "b:80": 0.0,
    }
    assert [float(time) for time in matrix.times] == [at(60).timestamp()]


def test_matrix_holds_only_what_the_matchers_fit(source: Source) -> None:
    alerts.store(source, [seen(), seen(labels={"alertname": "Other"})], now=at(0), pulled=False)
    assert value_of(source, 'alertname="CartDown", severity=~"crit.*"') == [1.0]
    matrix = alerts.as_matrix(source.pk, 'alertname="Nothing"', now=at(1).timestamp(), answered=True)
    assert (matrix.labels, matrix.values.shape, matrix.note) == (
        (),
        (0, 1),
        "no alert that fits is firing or was resolved lately",
    )


def test_matrix_of_a_pulled_alert_is_unknown_while_the_source_is_away(source: Source) -> None:
    alerts.reconcile_pull(source, [seen()], now=at(0))
    assert value_of(source) == [1.0]
    assert math.isnan(value_of(source, answered=False)[0])
    alerts.reconcile_pull(source, [], now=at(15))
    assert value_of(source) == [0.0]
    assert math.isnan(value_of(source, answered=False)[0])


def test_matrix_of_a_sent_alert_is_known_while_the_source_is_away(source: Source) -> None:
    alerts.store(source, [seen()], now=at(0), pulled=False)
    assert value_of(source, answered=False) == [1.0]


def test_matrix_counts_an_end_that_has_passed_as_resolved(source: Source) -> None:
    alerts.store(source, [seen(ends_at=at(30))], now=at(0), pulled=False)
    assert value_of(source, now=29) == [1.0]
    assert value_of(source, now=30) == [0.0]


def test_matrix_forgets_what_was_resolved_long_ago_unless_its_series_is_open(source: Source) -> None:
    alerts.store(source, [seen("resolved")], now=at(0), pulled=False)
    assert value_of(source, now=3600) == [0.0]
    assert value_of(source, now=3601) == []
    row = Rule.objects.create(name="R", source=source, query="", detector="firing_alert")
    SeriesState.objects.create(rule=row, fingerprint=fingerprint(CART), phase=Phase.RECOVERING)
    assert value_of(source, now=3601) == [0.0]


def test_matrix_of_a_firing_alert_is_not_forgotten(source: Source) -> None:
    alerts.reconcile_pull(source, [seen()], now=at(0))
    assert value_of(source, now=90 * 86400) == [1.0]


def test_matrix_of_a_sent_alert_that_is_not_repeated_becomes_unknown(source: Source) -> None:
    """Its end may be lost; and neither is it over, for nobody said so."""
    alerts.store(source, [seen()], now=at(0), pulled=False)
    assert value_of(source, now=5 * 3600) == [1.0]
    assert math.isnan(value_of(source, now=5 * 3600 + 1)[0])
    assert math.isnan(value_of(source, now=90 * 86400)[0])
    alerts.store(source, [seen()], now=at(5 * 3600 + 2), pulled=False)
    assert value_of(source, now=5 * 3600 + 3) == [1.0]


def test_matrix_of_a_resolved_alert_stays_resolved_without_repeats(source: Source) -> None:
    alerts.store(source, [seen("resolved")], now=at(0), pulled=False)
    row = Rule.objects.create(name="R", source=source, query="", detector="firing_alert")
    SeriesState.objects.create(rule=row, fingerprint=fingerprint(CART), phase=Phase.FIRING)
    assert value_of(source, now=90 * 86400) == [0.0]


def test_a_message_that_is_not_repeated_for_hours_is_not_acted_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ruler that is not pulled, and the message of the end lost: a person approves what was planned hours ago."""
    make_rule(make_service(), detector="firing_alert", params={}, query='alertname="AppDown"')
    make_playbook(autonomy="approve", approval_ttl_s=100_000)
    source = Source.objects.get()
    monkeypatch.setattr(alerts, "pull", lambda *_, **__: [])
    monkeypatch.setattr(alerts, "shown", lambda *_, **__: {})
    monkeypatch.setattr(gate, "freshen", lambda *_, **__: None)
    alerts.store(
        source, [seen(labels={"alertname": "AppDown", "target": "app-1"}, start=world.now)], now=world.now, pulled=False
    )
    SourceStatus.objects.create(source=source, answered_at=world.now)
    world.tick()
    row = world.remediation()
    assert row.state == "awaiting_approval", row.reason
    for _ in range(5):
        SourceStatus.objects.update(answered_at=world.now + timedelta(hours=1))
        world.tick(3600)
    row.refresh_from_db()
    assert row.state == "awaiting_approval", row.reason
    ann = make_user("ann", "approver")
    approval.approve(row, user=ann, digest=row.digest, now=world.now)
    world.answer_bells()
    assert world.ledger.effects == []
