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
from django.utils.translation import gettext as _

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
        app_configs: Sequence[AppConfig] | None = None, databases: Iterable[str] | None = None, **options: Any
    ) -> list[CheckMessage]:
        if not databases or "default" not in databases:
            return []
        try:
            return list(function())
        except DatabaseError as error:
            log.warning("the configuration could not be read (%s)", type(error).__name__)
            said = _("The configuration could not be read from the database.")
            return [_warning(0, said, _("Run manage.py migrate."))]
        except Exception as error:
            log.exception("check %s failed", function.__name__)
            said = _("%(check)s failed: %(error)s.") % {"check": function.__name__, "error": plain(error)}
            return [_warning(0, said, _("Report it with the log's traceback."))]

    run.__name__, run.__doc__ = function.__name__, function.__doc__
    register(run, TAG, deploy=True)
    return run


@check
def check_plugins() -> Found:
    """Stored names that are not installed, and parameters that no longer fit."""
    from remediation.models import Rule, Step, Target  # noqa: PLC0415 - models are ready only when checks run

    for rule in Rule.objects.all():
        what = _("Rule %(rule)s") % {"rule": rule}
        yield from _plugin(what, registry.detector, rule.detector, rule.params)
        for at, one in enumerate(rule.conditions, start=2):
            name, params = one.get("detector", ""), one.get("params", {})
            what = _("Condition %(at)d of rule %(rule)s") % {"at": at, "rule": rule}
            yield from _plugin(what, registry.detector, name, params)
    for target in Target.objects.select_related("service"):
        yield from _plugin(_target(target), registry.backend, target.backend, target.params)
    for step in Step.objects.select_related("playbook"):
        yield from _plugin(_of_step(step), registry.verb, step.verb, step.params)


def _target(target: Any) -> str:
    return _("Target %(target)s of %(service)s") % {"target": target, "service": target.service}


def _of_step(step: Any) -> str:
    return _("Step %(position)d of %(playbook)s") % {"position": step.position, "playbook": step.playbook}


def _plugin(what: str, lookup: Callable[[str], registry.Plugin], name: str, params: dict[str, Any]) -> Found:
    try:
        plugin = lookup(name)
    except ConfigurationError as error:
        hint = _("Install the package that brings it, or choose another one in the admin. Until then it is skipped.")
        yield _error(1, f"{what}: {error}.", hint)
        return
    try:
        plugin.parse(params)
    except ConfigurationError as error:
        hint = _("Open it in the admin: the fields that are wrong say so when you save.")
        said = _("%(what)s: its parameters do not fit any more. %(error)s.") % {"what": what, "error": error}
        yield _error(2, said, hint)


@check
def check_secrets() -> Found:
    """References to secrets that are not there."""
    from remediation.models import Source, Target  # noqa: PLC0415 - models are ready only when checks run

    for source in Source.objects.filter(enabled=True):
        yield from _secrets(_source(source), {"secret_ref": source.secret_ref})
    for target in Target.objects.filter(enabled=True).select_related("service"):
        yield from _secrets(_target(target), target.params)


def _source(source: Any) -> str:
    return _("Source %(source)s") % {"source": source}


def _secrets(what: str, params: Mapping[str, Any]) -> Found:
    hint = _("Set that variable or file where web and worker run, or correct the reference in the admin.")
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
                hint = _("Enter the address of Prometheus: Homeostat serves /metrics, but it is none.")
                yield _error(4, f"{_source(source)}: {error}.", hint)
            except ConfigurationError as error:
                yield _error(5, f"{_source(source)}: {error}.", _("Correct its address in the admin."))


@check
def check_targets() -> Found:
    """Targets that are a part of Homeostat, and those their runtime does not know."""
    from remediation.models import Target  # noqa: PLC0415 - models are ready only when checks run

    for target in Target.objects.filter(enabled=True).select_related("service"):
        backend = registry.backends().get(target.backend)
        if backend is None:
            continue
        what = _target(target)
        try:
            ref = target.ref()
        except ConfigurationError:
            continue  # check_plugins says so
        try:
            backend.check(ref, timeout_s=PATIENCE_S)
        except OwnProcess as error:
            hint = _("Delete this target: Homeostat never acts on itself.")
            yield _error(6, f"{what}: {error}.", hint)
        except Exception as error:  # noqa: BLE001 - whatever a backend raises, the other targets are checked too
            hint = _("Start what runs it, or correct the target in the admin.")
            said = _("%(what)s cannot be acted on now: %(error)s.") % {"what": what, "error": plain(error)}
            yield _warning(7, said, hint)


@check
def check_playbooks() -> Found:
    """Playbooks that can never serve an incident, and steps that no target is able to do."""
    from remediation.models import Playbook, Rule, Target  # noqa: PLC0415 - models are ready only when checks run

    rules = list(Rule.objects.filter(enabled=True).select_related("service"))
    targets = list(Target.objects.filter(enabled=True).select_related("service"))
    for playbook in Playbook.objects.filter(enabled=True).prefetch_related("steps"):
        try:
            if rules and not any(may_serve(playbook.matchers, rule) for rule in rules):
                hint = _("Compare its matchers with the rules' names, severities and labels.")
                said = _("Playbook %(playbook)s: no rule's incidents fit its matchers.") % {"playbook": playbook}
                yield _warning(8, said, hint)
            if not playbook.steps.all():
                said = _("Playbook %(playbook)s has no step.") % {"playbook": playbook}
                yield _warning(9, said, _("Add one, or switch it off."))
            for step in playbook.steps.all():
                yield from _step(step, targets)
        except MatcherError as error:
            said = _("Playbook %(playbook)s: %(error)s.") % {"playbook": playbook, "error": error}
            yield _error(10, said, _("Correct its matchers in the admin."))


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
    what = _of_step(step)
    selected = [target for target in targets if matchers.matches(step.select, selectable(target))]
    if targets and not selected:
        said = _("%(what)s: no target fits its selection %(select)s.") % {"what": what, "select": repr(step.select)}
        yield _warning(11, said, _("Compare it with the targets' roles, names and backends."))
    backends = {target.backend for target in selected} & set(registry.backends())
    unable = [name for name in sorted(backends) if not isinstance(registry.backends()[name], verb.needs)]
    if backends and len(unable) == len(backends):
        hint = _("Choose another verb, or select targets that can %(verb)s.") % {"verb": _(verb.name)}
        said = _("%(what)s: none of its targets can %(verb)s (%(backends)s).")
        yield _warning(12, said % {"what": what, "verb": _(verb.name), "backends": ", ".join(unable)}, hint)


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
    return _("an unexpected %(kind)s; the log tells more") % {"kind": type(error).__name__}


def _error(number: int, text: str, hint: str) -> Error:
    return Error(text, hint=hint, id=f"{TAG}.E{number:03d}")


def _warning(number: int, text: str, hint: str) -> Warning:
    return Warning(text, hint=hint, id=f"{TAG}.W{number:03d}")
