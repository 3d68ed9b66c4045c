"""What Homeostat is told about the shop: plain data that `manage.py demo` loads.

Queries return the value and never compare it: the detector judges, so that a chart shows the good times too.
Thresholds were set by watching the real shop under each fault; the comments say what was seen.
"""

from typing import Any

from deploy.demo.config import WORKERS, DemoConfig

Row = dict[str, Any]


def sources(config: DemoConfig) -> list[Row]:
    """The one Prometheus of the demo, scraping every second; the token is the one its Alertmanager sends."""
    return [
        {
            "name": "shop",
            "url": config.prometheus_url,
            "alertmanager_url": config.alertmanager_url,
            "stale_after_s": 6,
            "timeout_s": 5,
            "pull_alerts_s": 5,
            "webhook_token_ref": f"file:{config.webhook_token_path}",
        }
    ]


SERVICES: list[Row] = [
    {
        "name": "web",
        "title": "Web front",
        "description": "Two app instances behind HAProxy. Shows items and takes orders.",
        "team": "storefront",
        "depends_on": ["payments", "store", "queue"],
    },
    {
        "name": "payments",
        "title": "Payments",
        "description": "Takes the money. Without it no order comes through; browsing goes on.",
        "team": "checkout",
        "depends_on": [],
    },
    {
        "name": "queue",
        "title": "Queue",
        "description": "Paid orders that wait for a worker. Kept in memory.",
        "team": "fulfilment",
        "depends_on": [],
    },
    {
        "name": "worker",
        "title": "Workers",
        "description": "A pool of one to five processes that complete orders; two run usually.",
        "team": "fulfilment",
        "depends_on": ["queue", "store"],
    },
    {
        "name": "store",
        "title": "Store",
        "description": "Items and orders: a primary, and a standby that copies it, behind HAProxy.",
        "team": "platform",
        "depends_on": [],
    },
]


def targets(config: DemoConfig) -> list[Row]:
    """What can be acted on. The label `target` ties one to its series; the pool and the switch are tied to none."""
    return [
        _process(config, "web", "app-1", "web:app-1"),
        _process(config, "web", "app-2", "web:app-2"),
        _process(config, "payments", "payments", "payments:payments"),
        _process(config, "queue", "queue", "queue:queue"),
        _process(config, "store", "store-1", "store:store-1"),
        _process(config, "store", "store-2", "store:store-2"),
        {
            "name": "workers",
            "service": "worker",
            "backend": "supervisord",
            "role": "pool",
            "labels": {},
            "params": {"url": config.supervisor_url, "group": "worker", "minimum": 1, "maximum": len(WORKERS)},
        },
        {
            "name": "store-switch",
            "service": "store",
            "backend": "haproxy",
            "role": "switch",
            "labels": {},
            "params": {
                "socket": str(config.haproxy_socket),
                "backend": "store",
                "server": "store-1",
                "standby": "store-2",
                "promote": {name: f"{config.url(name)}/promote" for name in ("store-1", "store-2")},
            },
        },
    ]


def _process(config: DemoConfig, service: str, name: str, process: str) -> Row:
    return {
        "name": name,
        "service": service,
        "backend": "supervisord",
        "role": "instance",
        "labels": {"target": name},
        "params": {"url": config.supervisor_url, "process": process},
    }


_BY_TARGET = "sum by (instance, job, service, target)"

RULES: list[Row] = [
    {
        # Healthy 1, killed 0; hung 1.9, so that a hang is not taken for a death.
        "name": "AppDown",
        "service": "web",
        "query": 'up{job="web"} + (scrape_duration_seconds{job="web"} > bool 0.5)',
        "detector": "threshold",
        "params": {"op": "==", "value": 0},
        "interval_s": 2,
        "for_s": 2,
        "keep_firing_for_s": 0,
        "severity": "critical",
        "annotations": {
            "summary": "{{ $labels.target }} is down",
            "description": "Its port refuses connections. A slow or stuck instance is AppHung instead.",
        },
    },
    {
        # Healthy 0, killed below 0.01, hung 0.9 (the scrape's timeout).
        "name": "AppHung",
        "service": "web",
        "query": '(1 - up{job="web"}) * scrape_duration_seconds{job="web"}',
        "detector": "threshold",
        "params": {"op": ">", "value": 0.5},
        "interval_s": 2,
        "for_s": 4,
        "keep_firing_for_s": 0,
        "severity": "critical",
        "annotations": {
            "summary": "{{ $labels.target }} takes connections and does not answer",
            "description": "The scrape ran into its timeout, so the process is there and stuck.",
        },
    },
    {
        # Healthy 0, fault 0.4, victims of a wedged payments 0.25, of a dead store 1.
        "name": "AppErrors",
        "service": "web",
        "query": f'{_BY_TARGET} (rate(http_requests_total{{job="web", code=~"5.."}}[10s]))'
        f' / {_BY_TARGET} (rate(http_requests_total{{job="web"}}[10s]))',
        "detector": "threshold",
        "params": {"op": ">", "value": 0.1},
        "interval_s": 2,
        "for_s": 4,
        "keep_firing_for_s": 0,
        "severity": "warning",
        "annotations": {
            "summary": "{{ $labels.target }} answers many of its requests with an error",
            "description": "More than 10 % of requests failed within ten seconds.",
        },
    },
    {
        "name": "AppSlow",
        "service": "web",
        "query": f'{_BY_TARGET} (rate(http_request_duration_seconds_sum{{job="web"}}[10s]))'
        f' / {_BY_TARGET} (rate(http_request_duration_seconds_count{{job="web"}}[10s]))',
        "detector": "zscore",
        "params": {"window_s": 3600, "step_s": 15, "limit": 6, "direction": "high", "minimum_effect": 0.15},
        "interval_s": 3,
        "for_s": 3,
        "keep_firing_for_s": 0,
        "severity": "warning",
        "annotations": {
            "summary": "{{ $labels.target }} is much slower than it usually is",
            "description": "The mean time to answer left the band of the last hour by more than 150 ms.",
        },
    },
    {
        "name": "TrafficLow",
        "service": "web",
        "query": 'sum(rate(haproxy_frontend_http_requests_total{proxy="front"}[20s]))',
        "detector": "zscore",
        "params": {"window_s": 3600, "step_s": 15, "limit": 4, "direction": "low", "minimum_effect": 10},
        "interval_s": 5,
        "for_s": 5,
        "keep_firing_for_s": 0,
        "severity": "info",
        "annotations": {
            "summary": "Fewer customers than usual",
            "description": "Requests are far below the band of the last hour. Fewer requests alone break nothing, "
            "so there is no playbook for it; look at errors and latency beside it.",
        },
    },
    {
        "name": "PaymentsDown",
        "service": "payments",
        "query": 'up{job="payments"}',
        "detector": "threshold",
        "params": {"op": "==", "value": 0},
        "interval_s": 2,
        "for_s": 2,
        "keep_firing_for_s": 15,
        "severity": "critical",
        "annotations": {
            "summary": "payments does not answer its scrapes",
            "description": "Orders fail until it is back; web shows it as errors.",
        },
    },
    {
        # An alert of Prometheus itself, which comes through Alertmanager and its webhook: see files.prometheus_rules.
        # It keeps firing a little, until web's errors have left their ten seconds: the victim is not repaired.
        "name": "PaymentsStuck",
        "service": "payments",
        "query": 'alertname="PaymentsNotAnswering"',
        "detector": "firing_alert",
        "params": {},
        "interval_s": 2,
        "for_s": 0,
        "keep_firing_for_s": 15,
        "severity": "critical",
        "annotations": {
            "summary": "payments takes requests and does not answer them",
            "description": "The alert PaymentsNotAnswering fires in Prometheus. Orders fail; web shows it as errors.",
        },
    },
    {
        # Healthy 26 MB, leaking up to 250 MB at 20 MB a second.
        "name": "PaymentsMemory",
        "service": "payments",
        "query": 'process_resident_memory_bytes{job="payments"}',
        "detector": "threshold",
        "params": {"op": ">", "value": 120_000_000},
        "interval_s": 3,
        "for_s": 3,
        "keep_firing_for_s": 0,
        "severity": "warning",
        "annotations": {
            "summary": "payments uses far more memory than it needs",
            "description": "It usually holds 30 MB. A leak does not end by itself; a restart ends it.",
        },
    },
    {
        "name": "PaymentsUnobserved",
        "service": "payments",
        "query": 'up{job="payments"}',
        "detector": "absent",
        "params": {},
        "interval_s": 5,
        "for_s": 5,
        "keep_firing_for_s": 0,
        "severity": "info",
        "annotations": {
            "summary": "Nobody measures payments any more",
            "description": "Prometheus has no such target. That says nothing about payments itself, so there is no "
            "playbook for it: its other rules are unknown until the samples are back.",
        },
    },
    {
        "name": "QueueDown",
        "service": "queue",
        "query": 'up{job="queue"}',
        "detector": "threshold",
        "params": {"op": "==", "value": 0},
        "interval_s": 2,
        "for_s": 2,
        "keep_firing_for_s": 15,
        "severity": "critical",
        "annotations": {
            "summary": "the queue does not answer its scrapes",
            "description": "Orders fail until it is back.",
        },
    },
    {
        # Healthy 0 to 3. In an overload it grows by 10 a second; with four workers it shrinks by 7 a second.
        "name": "QueueBacklog",
        "service": "worker",
        "query": 'sum(queue_depth{job="queue"})',
        "detector": "threshold",
        "params": {"op": ">", "value": 40},
        "interval_s": 3,
        "for_s": 3,
        "keep_firing_for_s": 0,
        "severity": "warning",
        "annotations": {
            "summary": "{{ $value }} orders wait for a worker",
            "description": "The workers do not keep up with the orders.",
        },
    },
    {
        # Spare workers do not run and count 0, so the pool is judged as a whole. Healthy 2, grown 3 to 5.
        "name": "WorkersMissing",
        "service": "worker",
        "query": 'sum(up{job="worker"})',
        "detector": "threshold",
        "params": {"op": "<", "value": 2},
        "interval_s": 3,
        "for_s": 6,
        "keep_firing_for_s": 0,
        "severity": "warning",
        "annotations": {
            "summary": "{{ $value }} of the two usual workers answer",
            "description": "Orders are completed more slowly, or not at all.",
        },
    },
    {
        "name": "StorePrimaryDown",
        "service": "store",
        "query": 'sum(store_is_primary{job="store"})',
        "detector": "threshold",
        "params": {"op": "<", "value": 1},
        "interval_s": 2,
        "for_s": 2,
        "keep_firing_for_s": 15,
        "severity": "critical",
        "annotations": {
            "summary": "no store takes writes",
            "description": "None of the stores that answer is a primary, so the shop can neither read nor write.",
        },
    },
    {
        # Twenty seconds leave a dead primary to the failover, which is quicker; this one brings it back as a standby.
        "name": "StoreNodeDown",
        "service": "store",
        "query": 'up{job="store"}',
        "detector": "threshold",
        "params": {"op": "==", "value": 0},
        "interval_s": 5,
        "for_s": 20,
        "keep_firing_for_s": 0,
        "severity": "warning",
        "annotations": {
            "summary": "{{ $labels.target }} is down",
            "description": "Without a second node there is nothing to fail over to.",
        },
    },
]


def _step(verb: str, select: str, *, within_s: float = 60, cooldown_s: float = 15, **more: Any) -> Row:
    """One rung. The budget is generous: a demo breaks the same thing many times an hour."""
    return {
        "verb": verb,
        "select": select,
        "params": {},
        "verify": {"good_samples": 3, "within_s": within_s, "settle_s": 0},
        "guards": {"cooldown_s": cooldown_s, "budget": 20, "budget_window_s": 3600},
        "approvals": 1,
        "expires_s": 900,
    } | more


def _playbook(name: str, rule: str, autonomy: str, description: str, *steps: Row) -> Row:
    return {
        "name": name,
        "description": description,
        "matchers": f'alertname="{rule}"',
        "autonomy": autonomy,
        "steps": list(steps),
    }


_INSTANCE = 'backend="supervisord", role="instance"'

PLAYBOOKS: list[Row] = [
    _playbook(
        "Restart a dead app",
        "AppDown",
        "auto",
        "A dead process serves nobody: starting it cannot make things worse.",
        _step("restart", _INSTANCE),
    ),
    _playbook(
        "Restart a stuck app",
        "AppHung",
        "approve",
        "Whoever approves may want a stack dump first: the restart ends what it is stuck in.",
        _step("restart", _INSTANCE),
    ),
    _playbook(
        "Restart a failing app",
        "AppErrors",
        "approve",
        "Errors of one instance alone go with a restart; the guard on dependencies holds it when others are the cause.",
        _step("restart", _INSTANCE),
    ),
    _playbook(
        "Restart a slow app",
        "AppSlow",
        "approve",
        "Slower than usual is a statement about the past, so a person decides.",
        _step("restart", _INSTANCE),
    ),
    _playbook(
        "Restart dead payments",
        "PaymentsDown",
        "auto",
        "No order comes through without it.",
        _step("restart", _INSTANCE),
    ),
    _playbook(
        "Restart stuck payments",
        "PaymentsStuck",
        "auto",
        "It answers nobody, so nothing is lost by a restart, and web's errors end with it.",
        _step("restart", _INSTANCE),
    ),
    _playbook(
        "Restart leaking payments",
        "PaymentsMemory",
        "approve",
        "It still works; the restart interrupts a payment or two, so a person chooses the moment.",
        _step("restart", _INSTANCE),
    ),
    _playbook(
        "Restart a dead queue",
        "QueueDown",
        "auto",
        "No order comes through without it.",
        _step("restart", _INSTANCE),
    ),
    _playbook(
        "Add workers",
        "QueueBacklog",
        "auto",
        "Two more, then one more: the pool ends at five.",
        _step("scale", 'backend="supervisord", role="pool"', within_s=90, params={"by": 2}),
        _step("scale", 'backend="supervisord", role="pool"', within_s=90, params={"by": 1}),
    ),
    _playbook(
        "Bring the usual workers back",
        "WorkersMissing",
        "auto",
        "Starts members of the pool until two run; one that runs and does not answer is left to a person.",
        _step("scale", 'backend="supervisord", role="pool"', params={"to": 2}),
    ),
    _playbook(
        "Fail over the store",
        "StorePrimaryDown",
        "auto",
        "The standby holds all but the last half second; waiting for the primary costs every order.",
        _step("failover", 'backend="haproxy", role="switch"'),
    ),
    _playbook(
        "Bring a store back",
        "StoreNodeDown",
        "auto",
        "It comes back as the standby of whichever is the primary by then.",
        _step("restart", _INSTANCE),
    ),
]
