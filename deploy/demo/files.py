"""The configuration files of the demo's servers."""

import json
import sys
from pathlib import Path

from deploy.demo.config import WORKERS, DemoConfig
from deploy.demo.layout import JOBS, PROCESSES
from deploy.demo.levers import full_name

ROOT = Path(__file__).resolve().parents[2]


def supervisord(config: DemoConfig) -> str:
    """Nothing restarts by itself: healing is what the demo is about."""
    groups: dict[str, list[str]] = {}
    for name in PROCESSES:
        groups.setdefault(full_name(name).split(":")[0], []).append(name)
    head = f"""\
[unix_http_server]
file = {_plain(config.supervisor_socket)}
chmod = 0700

[supervisord]
nodaemon = true
silent = true
logfile = {_plain(config.logs)}/supervisord.log
logfile_maxbytes = 1MB
logfile_backups = 0
pidfile = {_plain(config.sockets)}/supervisord.pid
childlogdir = {_plain(config.logs)}
directory = {_plain(ROOT)}

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
"""
    programs = [_program(config, name, module, autostart) for name, (module, autostart) in PROCESSES.items()]
    grouped = [f"[group:{group}]\nprograms = {','.join(names)}\n" for group, names in groups.items()]
    return "\n".join([head, *programs, *grouped])


def _program(config: DemoConfig, name: str, module: str, autostart: bool) -> str:
    return f"""\
[program:{name}]
command = "{_plain(sys.executable)}" -m deploy.demo.shop.{module} {name}
autostart = {str(autostart).lower()}
autorestart = false
startsecs = 1
startretries = 0
stopwaitsecs = 2
redirect_stderr = true
stdout_logfile = {_plain(config.logs)}/{name}.log
stdout_logfile_maxbytes = 1MB
stdout_logfile_backups = 0
"""


def _plain(path: Path | str) -> str:
    """supervisord expands %(...)s everywhere."""
    return str(path).replace("%", "%%")


def haproxy(config: DemoConfig) -> str:
    """Fast health checks, no waiting: a dead server costs a customer one error, not seconds.

    store-2 starts in maintenance: it takes over when somebody says so, not by itself.
    """
    web = "".join(f"    server {name} {config.address(name)} check\n" for name in JOBS["web"])
    return f"""\
global
    stats socket "{config.haproxy_socket}" mode 600 level admin
    nbthread 1
    maxconn 1000

defaults
    mode http
    timeout connect 300ms
    timeout client 5s
    timeout server 2s
    timeout check 500ms
    timeout queue 1s
    retries 1
    option redispatch
    option httpchk GET /healthz
    default-server inter 1s fastinter 500ms fall 2 rise 1

frontend front
    bind {config.address("front")}
    default_backend web

backend web
    balance roundrobin
{web}
frontend store-front
    bind {config.address("store")}
    default_backend store

backend store
    server store-1 {config.address("store-1")} check
    server store-2 {config.address("store-2")} check disabled

frontend exporter
    bind {config.address("haproxy")}
    http-request use-service prometheus-exporter if {{ path /metrics }}
"""


def prometheus(config: DemoConfig) -> str:
    """One file_sd list per job, so that a target can leave and come back while all runs.

    HAProxy's exporter is asked only for its frontends' and servers' series, and of these what the demo looks at.
    YAML, written as the JSON that it contains.
    """
    jobs = [
        {
            "job_name": job,
            "file_sd_configs": [
                {"files": [str(config.targets_folder / f"{job}.json")], "refresh_interval": "5s"},
            ],
            **(_EDGE if job == "edge" else {}),
        }
        for job in JOBS
    ]
    own = {
        "job_name": "prometheus",
        "static_configs": [{"targets": [config.address("prometheus")], "labels": {"target": "prometheus"}}],
        "metric_relabel_configs": [_keep("prometheus_(ready|tsdb_head_series|notifications_.*)|process_.*")],
    }
    whole = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "900ms", "evaluation_interval": "1s"},
        "rule_files": [str(config.folder / "prometheus" / "rules.yml")],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [config.address("alertmanager")]}]}]},
        "scrape_configs": [*jobs, own],
    }
    return json.dumps(whole, indent=2) + "\n"


def _keep(names: str) -> dict[str, object]:
    return {"source_labels": ["__name__"], "regex": names, "action": "keep"}


_EDGE = {
    "params": {"scope": ["frontend", "server"]},
    "metric_relabel_configs": [
        _keep(
            "haproxy_frontend_(http_requests_total|http_responses_total|current_sessions)"
            "|haproxy_server_(status|check_status|http_responses_total|current_queue)"
        )
    ],
}


def prometheus_rules() -> str:
    """The alert that goes Prometheus' own way to Homeostat: through Alertmanager and its webhook.

    A stuck payments process still serves /metrics, so `up` stays 1; what gives it away is requests that pile up.
    """
    alert = {
        "alert": "PaymentsNotAnswering",
        "expr": 'http_requests_in_flight{job="payments"} > 10',
        "for": "2s",
        "labels": {"severity": "critical"},
        "annotations": {
            "summary": "{{ $labels.target }} takes requests and does not answer them",
            "description": "{{ $value }} payments are waiting; usually it is none or one.",
        },
    }
    return json.dumps({"groups": [{"name": "shop", "rules": [alert]}]}, indent=2) + "\n"


def alertmanager(config: DemoConfig) -> str:
    """Everything goes to Homeostat at once; it groups and waits by itself."""
    webhook = {
        "url": config.webhook_url,
        "send_resolved": True,
        "http_config": {
            "authorization": {"type": "Bearer", "credentials_file": str(config.webhook_token_path)},
        },
    }
    whole = {
        "route": {
            "receiver": "homeostat",
            "group_by": ["..."],
            "group_wait": "0s",
            "group_interval": "1s",
            "repeat_interval": "1m",
        },
        "receivers": [{"name": "homeostat", "webhook_configs": [webhook]}],
    }
    return json.dumps(whole, indent=2) + "\n"


def first_workers() -> tuple[str, ...]:
    """The workers that run from the start."""
    return tuple(name for name in WORKERS if PROCESSES[name][1])
