"""Homeostat's own metrics, read from the database at every scrape, so that any web process answers for all of them."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Iterator
from datetime import UTC, datetime

from django.contrib.auth.decorators import login_not_required
from django.db.models import Count, Min
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from dashboard.settings import env
from remediation import sealing
from remediation.models import Freeze, Heartbeat, Incident, Remediation, RuleStatus, Source
from remediation.states import REMEDIATION_LIVE

FORWARDED = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP")


@require_safe
@login_not_required  # a Prometheus cannot sign in; see allowed()
def exposition(request: HttpRequest) -> HttpResponse:
    if not allowed(request):
        text = "Scrape from this machine, or set HOMEOSTAT_METRICS_TOKEN and send it as a bearer token.\n"
        return HttpResponse(text, status=401, content_type="text/plain", headers={"WWW-Authenticate": "Bearer"})
    registry = CollectorRegistry()
    registry.register(Knowledge(datetime.now(UTC)))
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def allowed(request: HttpRequest) -> bool:
    """Names of services and rules are nobody else's business: a person who signed in, a scraper that shows the token
    of HOMEOSTAT_METRICS_TOKEN, or one on this very machine. What a proxy passes on does not come from this machine."""
    if request.user.is_authenticated:
        return True
    token = env("HOMEOSTAT_METRICS_TOKEN")
    shown = request.headers.get("Authorization", "")
    if token and hmac.compare_digest(shown.encode(), f"Bearer {token}".encode()):
        return True
    return _is_loopback(request.META.get("REMOTE_ADDR", "")) and not any(name in request.META for name in FORWARDED)


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


class Knowledge(Collector):
    """What the database knows of the loop at one moment; one query per family."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def collect(self) -> Iterator[Metric]:
        yield from self.stages()
        yield from self.work()
        yield from self.rules()
        yield from self.sources()
        yield from self.audit()

    def describe(self) -> list[Metric]:
        """Nothing: else registering would already ask the database."""
        return []

    def stages(self) -> Iterator[Metric]:
        age = GaugeMetricFamily(
            "homeostat_heartbeat_age_seconds", "Since the last sign of life of a stage.", labels=["stage"]
        )
        every = GaugeMetricFamily(
            "homeostat_heartbeat_interval_seconds", "How often a sign is expected; 0 on demand.", labels=["stage"]
        )
        for beat in Heartbeat.objects.order_by("stage"):
            age.add_metric([beat.stage], self.since(beat.at))
            every.add_metric([beat.stage], beat.every_s)
        yield age
        yield every

    def work(self) -> Iterator[Metric]:
        incidents = GaugeMetricFamily("homeostat_incidents", "Incidents by state.", labels=["state", "severity"])
        for state, severity, count in _counts(Incident, "state", "severity"):
            incidents.add_metric([state, severity], count)
        yield incidents
        remediations = GaugeMetricFamily("homeostat_remediations", "Remediations by state.", labels=["state", "verb"])
        for state, verb, count in _counts(Remediation, "state", "verb"):
            remediations.add_metric([state, verb], count)
        yield remediations
        waiting = GaugeMetricFamily(
            "homeostat_oldest_waiting_seconds", "How long the oldest row that is due has waited.", labels=["kind"]
        )
        decide = Incident.objects.filter(decide_at__lte=self.now).aggregate(first=Min("decide_at"))["first"]
        due = Remediation.objects.filter(due_at__lte=self.now, state__in=REMEDIATION_LIVE)
        waiting.add_metric(["incident"], self.since(decide))
        waiting.add_metric(["remediation"], self.since(due.aggregate(first=Min("due_at"))["first"]))
        yield waiting
        frozen = Freeze.active(now=self.now, anywhere=True).count()
        yield GaugeMetricFamily("homeostat_freezes", "Freezes that hold now.", value=frozen)

    def audit(self) -> Iterator[Metric]:
        number, _ = sealing.head()
        yield GaugeMetricFamily("homeostat_audit_seals", "Links of the chain over history; never falls.", value=number)
        waits = self.since(sealing.oldest_unsealed())
        yield GaugeMetricFamily("homeostat_audit_unsealed_seconds", "Age of the oldest line without.", value=waits)

    def rules(self) -> Iterator[Metric]:
        at = GaugeMetricFamily(
            "homeostat_rule_evaluation_timestamp_seconds", "When a rule was evaluated last.", labels=["rule"]
        )
        took = GaugeMetricFamily("homeostat_rule_evaluation_seconds", "How long that took.", labels=["rule"])
        failing = GaugeMetricFamily("homeostat_rule_failing", "1 when it could not be evaluated.", labels=["rule"])
        series = GaugeMetricFamily("homeostat_rule_series", "Series by verdict.", labels=["rule", "verdict"])
        overruns = CounterMetricFamily("homeostat_rule_overruns", "Slots missed by a slow evaluation.", labels=["rule"])
        for row in RuleStatus.objects.filter(rule__enabled=True).select_related("rule").order_by("rule__name"):
            name = row.rule.name
            if row.evaluated_at is not None:
                at.add_metric([name], row.evaluated_at.timestamp())
            took.add_metric([name], row.took_ms / 1000)
            failing.add_metric([name], bool(row.error))
            series.add_metric([name, "ok"], max(0, row.series - row.bad - row.unknown))
            series.add_metric([name, "bad"], row.bad)
            series.add_metric([name, "unknown"], row.unknown)
            overruns.add_metric([name], row.overruns)
        yield from (at, took, failing, series, overruns)

    def sources(self) -> Iterator[Metric]:
        failing = GaugeMetricFamily("homeostat_source_failing", "1 when the last question failed.", labels=["source"])
        at = GaugeMetricFamily(
            "homeostat_source_answer_timestamp_seconds", "When a source answered last.", labels=["source"]
        )
        for source in Source.objects.filter(enabled=True).select_related("status"):
            status = getattr(source, "status", None)
            failing.add_metric([source.name], bool(status and status.failing))
            if status and status.answered_at:
                at.add_metric([source.name], status.answered_at.timestamp())
        yield failing
        yield at

    def since(self, moment: datetime | None) -> float:
        return max(0.0, (self.now - moment).total_seconds()) if moment else 0.0


def _counts(model: type[Incident | Remediation], first: str, second: str) -> Iterator[tuple[str, str, int]]:
    rows = model._default_manager.order_by().values_list(first, second).annotate(count=Count("pk"))
    yield from rows
