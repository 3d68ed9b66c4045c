"""Writes the shop's sources, services, targets, rules and playbooks, and the demo's users, into Homeostat's database.

Safe to run again: a second demo over the same home finds its rows, with the addresses of this run.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group, User
from django.utils import timezone

from deploy.demo import rules
from deploy.demo.config import DemoConfig
from remediation.episodes import resolve
from remediation.models import (
    Incident,
    IngestToken,
    Playbook,
    Rule,
    SeriesState,
    Service,
    Source,
    Step,
    Target,
)
from remediation.states import IncidentState

USERS = ("viewer", "operator", "approver", "admin")
PASSWORD = "demo"  # noqa: S105 - known to everybody: these users exist in the demo only
AUTHOR = "demo"


class NotADemo(Exception):
    """The database holds somebody's real installation."""


def load(config: DemoConfig) -> None:
    """Raises NotADemo when somebody who is not of the demo has an account here."""
    strangers = User.objects.exclude(username__in=USERS).values_list("username", flat=True)
    if strangers:
        raise NotADemo(
            f"This database has accounts that are not the demo's ({', '.join(strangers[:3])}). The demo makes users "
            "with a known password, so it runs over a database of its own only: unset HOMEOSTAT_HOME and DATABASE_URL."
        )
    _users()
    _end_last_run()
    sources = {row["name"]: _source(row, config) for row in rules.sources(config)}
    _services()
    for row in rules.targets(config):
        _target(row)
    for row in rules.RULES:
        _rule(row, next(iter(sources.values())))
    for row in rules.PLAYBOOKS:
        _playbook(row)


def _users() -> None:
    for name in USERS:
        user, created = User.objects.get_or_create(username=name)
        if created:
            user.set_password(PASSWORD)
        user.is_staff = user.is_superuser = name == "admin"
        user.save()
        user.groups.set(Group.objects.filter(name=name))


def _end_last_run() -> None:
    """The shop starts anew, with other ports and a Prometheus without memory: what was open there is over."""
    now = timezone.now()
    for incident in Incident.objects.exclude(state=IncidentState.RESOLVED).select_related("rule"):
        resolve(incident, now=now, reason="the demo was started anew", actor=AUTHOR)
    SeriesState.objects.all().delete()


def _source(row: dict[str, Any], config: DemoConfig) -> Source:
    fields = {key: row[key] for key in ("url", "alertmanager_url", "stale_after_s", "timeout_s", "pull_alerts_s")}
    source, _ = Source.objects.update_or_create(name=row["name"], defaults=fields)
    token = config.webhook_token_path.read_text().strip()
    IngestToken.objects.filter(source=source).exclude(hash=IngestToken.hash_of(token)).delete()
    if not source.tokens.exists():
        IngestToken.issue(source, "the demo's Alertmanager", token=token)
    return source


def _services() -> None:
    made: dict[str, Service] = {}
    for row in rules.SERVICES:
        fields = {key: row[key] for key in ("title", "description", "team")}
        made[row["name"]], _ = Service.objects.update_or_create(name=row["name"], defaults=fields)
    for row in rules.SERVICES:
        made[row["name"]].depends_on.set([made[name] for name in row["depends_on"]])


def _target(row: dict[str, Any]) -> None:
    fields = {key: row[key] for key in ("backend", "role", "labels", "params")}
    service = Service.objects.get(name=row["service"])
    target, _ = Target.objects.update_or_create(service=service, name=row["name"], defaults=fields)
    target.full_clean()


def _rule(row: dict[str, Any], source: Source) -> None:
    copied = ("query", "detector", "params", "interval_s", "for_s", "keep_firing_for_s", "severity", "annotations")
    service = Service.objects.get(name=row["service"]) if row["service"] else None
    fields = {key: row[key] for key in copied} | {"source": source, "service": service}
    rule, _ = Rule.objects.update_or_create(name=row["name"], defaults=fields)
    rule.full_clean()
    rule.keep_version(author=AUTHOR, now=timezone.now())


def _playbook(row: dict[str, Any]) -> None:
    """What people changed in a playbook of an earlier run stays."""
    playbook, created = Playbook.objects.get_or_create(
        name=row["name"], defaults={key: row[key] for key in ("description", "matchers", "autonomy")}
    )
    if not created:
        return
    for position, step in enumerate(row["steps"], start=1):
        made = Step(
            playbook=playbook,
            position=position,
            verb=step["verb"],
            select=step["select"],
            params=step["params"],
            approvals=step["approvals"],
            approval_ttl_s=step["expires_s"],
            good_samples=step["verify"]["good_samples"],
            verify_within_s=step["verify"]["within_s"],
            settle_s=step["verify"]["settle_s"],
            **step["guards"],
        )
        made.full_clean()
        made.save()
    playbook.full_clean()
    playbook.keep_version(author=AUTHOR, now=timezone.now())
