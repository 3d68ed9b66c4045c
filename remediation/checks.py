"""System checks of stored configuration: `manage.py check --deploy --tag homeostat --database default`.

Each finding says what to do about it. A check never raises and never stops the loop. They are deployment checks,
because all others also run before `migrate`, where a secret that is missing may not stand in the way.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, Warning, register
from django.db import DatabaseError

from remediation import matchers, registry, secrets
from remediation.exceptions import ConfigurationError, HomeostatError, MatcherError, OwnProcess

log = logging.getLogger(__name__)

TAG = "homeostat"
PATIENCE_S = 2.0
"""Seconds a backend may take to look at one target."""
DEFAULT_PORTS = {"http": 80, "https": 443}

Found = Iterator[CheckMessage]


def check(function: Callable[[], Found]) -> Callable[..., list[CheckMessage]]:
    """Register a check that reads the database. Only asked when a database was named, and safe before migrating."""

    def run(
        app_configs: Sequence[AppConfig] | None = None, databases: Iterable[str] | None = None, **_: Any
    ) -> list[CheckMessage]:
        if not databases or "default" not in databases:
            return []
        try:
            return list(function())
        except DatabaseError as error:
            log.warning("the configuration could not be read (%s)", type(error).__name__)
            return [_warning(0, "The configuration could not be read from the database.", "Run manage.py migrate.")]
        except Exception as error:
            log.exception("check %s failed", function.__name__)
            return [_warning(0, f"{function.__name__} failed: {plain(error)}.", "Report it with the log's traceback.")]

    run.__name__, run.__doc__ = function.__name__, function.__doc__
    register(run, TAG, deploy=True)
    return run


@check
def check_plugins() -> Found:
    """Stored names that are not installed, and parameters that no longer fit."""
    from remediation.models import Rule, Step, Target  # noqa: PLC0415 - models are ready only when checks run

    for rule in Rule.objects.all():
        yield from _plugin(f"Rule {rule}", registry.detector, rule.detector, rule.params)
        for at, one in enumerate(rule.conditions, start=2):
            name, params = one.get("detector", ""), one.get("params", {})
            yield from _plugin(f"Condition {at} of rule {rule}", registry.detector, name, params)
    for target in Target.objects.select_related("service"):
        yield from _plugin(f"Target {target} of {target.service}", registry.backend, target.backend, target.params)
    for step in Step.objects.select_related("playbook"):
        yield from _plugin(f"Step {step.position} of {step.playbook}", registry.verb, step.verb, step.params)


def _plugin(what: str, lookup: Callable[[str], registry.Plugin], name: str, params: dict[str, Any]) -> Found:
    try:
        plugin = lookup(name)
    except ConfigurationError as error:
        hint = "Install the package that brings it, or choose another one in the admin. Until then it is skipped."
        yield _error(1, f"{what}: {error}.", hint)
        return
    try:
        plugin.parse(params)
    except ConfigurationError as error:
        hint = "Open it in the admin: the fields that are wrong say so when you save."
        yield _error(2, f"{what}: its parameters do not fit any more. {error}.", hint)


@check
def check_secrets() -> Found:
    """References to secrets that are not there."""
    from remediation.models import Source, Target  # noqa: PLC0415 - models are ready only when checks run

    for source in Source.objects.filter(enabled=True):
        yield from _secrets(f"Source {source}", {"secret_ref": source.secret_ref})
    for target in Target.objects.filter(enabled=True).select_related("service"):
        yield from _secrets(f"Target {target} of {target.service}", target.params)


def _secrets(what: str, params: Mapping[str, Any]) -> Found:
    hint = "Set that variable or file where web and worker run, or correct the reference in the admin."
    for wrong in missing_secrets(params):
        yield _error(3, f"{what}: {wrong}.", hint)


@check
def check_sources() -> Found:
    """Sources that are never asked."""
    from remediation.models import Source  # noqa: PLC0415 - models are ready only when checks run

    for source in Source.objects.filter(enabled=True):
        for url in filter(None, (source.url, source.alertmanager_url)):
            try:
                refuse_source_address(url)
            except OwnProcess as error:
                hint = "Enter the address of Prometheus: Homeostat serves /metrics, but it is none."
                yield _error(4, f"Source {source}: {error}.", hint)
            except ConfigurationError as error:
                yield _error(5, f"Source {source}: {error}.", "Correct its address in the admin.")


@check
def check_targets() -> Found:
    """Targets that are a part of Homeostat, and those their runtime does not know."""
    from remediation.models import Target  # noqa: PLC0415 - models are ready only when checks run

    for target in Target.objects.filter(enabled=True).select_related("service"):
        backend = registry.backends().get(target.backend)
        if backend is None:
            continue
        what = f"Target {target} of {target.service}"
        try:
            ref = target.ref()
        except ConfigurationError:
            continue  # check_plugins says so
        try:
            backend.check(ref, timeout_s=PATIENCE_S)
        except OwnProcess as error:
            hint = "Delete this target: Homeostat never acts on itself."
            yield _error(6, f"{what}: {error}.", hint)
        except Exception as error:  # noqa: BLE001 - whatever a backend raises, the other targets are checked too
            hint = "Start what runs it, or correct the target in the admin."
            yield _warning(7, f"{what} cannot be acted on now: {plain(error)}.", hint)


@check
def check_playbooks() -> Found:
    """Playbooks that can never serve an incident, and steps that no target is able to do."""
    from remediation.models import Playbook, Rule, Target  # noqa: PLC0415 - models are ready only when checks run

    rules = list(Rule.objects.filter(enabled=True).select_related("service"))
    targets = list(Target.objects.filter(enabled=True).select_related("service"))
    for playbook in Playbook.objects.filter(enabled=True).prefetch_related("steps"):
        try:
            if rules and not any(may_serve(playbook.matchers, rule) for rule in rules):
                hint = "Compare its matchers with the rules' names, severities and labels."
                yield _warning(8, f"Playbook {playbook}: no rule's incidents fit its matchers.", hint)
            if not playbook.steps.all():
                yield _warning(9, f"Playbook {playbook} has no step.", "Add one, or switch it off.")
            for step in playbook.steps.all():
                yield from _step(step, targets)
        except MatcherError as error:
            hint = "Correct its matchers in the admin."
            yield _error(10, f"Playbook {playbook}: {error}.", hint)


def may_serve(text: str, rule: Any) -> bool:
    """Whether incidents of a rule can fit matchers. Only what the rule itself fixes can rule it out: every other
    label comes with the series."""
    fixed = {**rule.labels, "alertname": rule.name, "severity": rule.severity}
    if rule.service:
        fixed |= {"service": rule.service.name} | ({"team": rule.service.team} if rule.service.team else {})
    return all(matcher.matches(fixed) for matcher in matchers.parse(text) if matcher.name in fixed)


def _step(step: Any, targets: list[Any]) -> Found:
    from remediation.decide.match import selectable  # noqa: PLC0415 - models are ready only when checks run

    verb = registry.verbs().get(step.verb)
    if verb is None:
        return  # check_plugins says so
    what = f"Step {step.position} of {step.playbook}"
    selected = [target for target in targets if matchers.matches(step.select, selectable(target))]
    if targets and not selected:
        hint = "Compare it with the targets' roles, names and backends."
        yield _warning(11, f"{what}: no target fits its selection {step.select!r}.", hint)
    backends = {target.backend for target in selected} & set(registry.backends())
    unable = [name for name in sorted(backends) if not isinstance(registry.backends()[name], verb.needs)]
    if backends and len(unable) == len(backends):
        hint = f"Choose another verb, or select targets that can {verb.name}."
        yield _warning(12, f"{what}: none of its targets can {verb.name} ({', '.join(unable)}).", hint)


def refuse_source_address(url: str) -> None:
    """Raises ConfigurationError for what is never asked (odd, link-local), OwnProcess for Homeostat itself."""
    from remediation.observe.prometheus import origin_of  # noqa: PLC0415 - loads numpy and the client, only when asked
    from remediation.targets.own import refuse_own_address  # noqa: PLC0415 - as above

    parts = urlsplit(origin_of(url))
    refuse_own_address(parts.hostname or "", parts.port or DEFAULT_PORTS[parts.scheme])


def missing_secrets(params: Mapping[str, Any]) -> list[str]:
    """What is wrong with the secrets that are referred to, by reference; never a value."""
    wrong: list[str] = []
    for name, ref in params.items():
        if name.endswith("secret_ref") and isinstance(ref, str) and ref:
            try:
                secrets.resolve(ref)
            except ConfigurationError as error:
                wrong.append(str(error))
    return wrong


def plain(error: Exception) -> str:
    """What to tell a person of an error: its text when we wrote it, only its kind otherwise."""
    if isinstance(error, HomeostatError):
        return str(error)
    log.warning("unexpected while checking a configuration", exc_info=error)
    return f"an unexpected {type(error).__name__}; the log tells more"


def _error(number: int, text: str, hint: str) -> Error:
    return Error(text, hint=hint, id=f"{TAG}.E{number:03d}")


def _warning(number: int, text: str, hint: str) -> Warning:
    return Warning(text, hint=hint, id=f"{TAG}.W{number:03d}")
