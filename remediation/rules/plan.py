"""What applying files would do to the rules there are, and doing exactly that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from remediation import episodes
from remediation.exceptions import ConfigurationError, Conflict
from remediation.models import Incident, Rule, Service, Source
from remediation.rules import conditions
from remediation.rules.declared import Declared, Read
from remediation.rules.reading import Problem, Unreadable
from remediation.states import IncidentState

BY_HAND = "by hand"


@dataclass(frozen=True, kw_only=True)
class Difference:
    field: str
    old: Any
    new: Any


@dataclass(frozen=True, kw_only=True)
class Change:
    """kind: add, change, remove, or disable for a rule whose incidents still need it."""

    kind: str
    name: str
    place: str = ""
    differences: tuple[Difference, ...] = ()
    declared: Declared | None = field(default=None, compare=False)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """changes, in the order of the files; what already is as declared; what the owner has and the files lack, without
    --prune; and what belongs to somebody else, with whom."""

    changes: tuple[Change, ...]
    unchanged: int
    left: tuple[str, ...]
    refused: tuple[str, ...]

    def count(self, kind: str) -> int:
        return sum(change.kind == kind for change in self.changes)


@dataclass(frozen=True, kw_only=True)
class Terms:
    """On whose behalf files are applied, and how far that may go."""

    owner: str = "files"
    source: str = ""
    prune: bool = False
    take_over: bool = False


def make(found: Read, terms: Terms) -> Plan:
    """Raises Unreadable when a source or service is named that does not exist."""
    rules = {rule.name: rule for rule in Rule.objects.select_related("source", "service")}
    wanted = _resolved(found, terms)
    changes, refused, unchanged = list[Change](), list[str](), 0
    for declared, values in wanted:
        rule = rules.get(declared.name)
        if rule is not None and rule.managed_by != terms.owner and not terms.take_over:
            refused.append(f"{rule.name} is managed {_manager(rule.managed_by)}")
            continue
        differences = _differences(rule, values)
        if rule is None or differences:
            kind = "add" if rule is None else "change"
            changes.append(
                Change(kind=kind, name=declared.name, place=declared.place, differences=differences, declared=declared)
            )
        else:
            unchanged += 1
    names = {declared.name for declared, _ in wanted}
    left = [rule for rule in rules.values() if rule.managed_by == terms.owner and rule.name not in names]
    if terms.prune:
        changes += _pruned(left)
    return Plan(
        changes=tuple(changes),
        unchanged=unchanged,
        left=() if terms.prune else tuple(rule.name for rule in left if rule.enabled),
        refused=tuple(refused),
    )


def carry_out(found: Read, shown: Plan, terms: Terms, *, author: str, now: datetime) -> None:
    """Do what the plan says, all of it or nothing.

    Raises Conflict when something else was changed since it was shown, ConfigurationError when a rule is not valid.
    """
    with transaction.atomic():
        plan = make(found, terms)
        if plan != shown:
            raise Conflict(_("The rules were changed since this plan was made: look at a new one."))
        if plan.refused:
            raise Conflict("\n".join(plan.refused))
        sources = {source.name: source for source in Source.objects.all()}
        services = {service.name: service for service in Service.objects.all()}
        values = {declared.name: values for declared, values in _resolved(found, terms)}
        for change in plan.changes:
            rule = Rule.objects.filter(name=change.name).first() or Rule(name=change.name)
            if change.declared is None:
                _end(rule, author=author, now=now)
                continue
            fields = values[change.name]
            fields |= {"source": sources[fields["source"]], "service": services.get(fields["service"])}
            for name, value in fields.items():
                setattr(rule, name, value)
            _save(rule, change)
            rule.keep_version(author=author, now=now)


def _save(rule: Rule, change: Change) -> None:
    try:
        rule.full_clean()
    except ValidationError as error:
        raise ConfigurationError(f"{change.place}: {change.name}: {'; '.join(error.messages)}") from None
    rule.save()


def _end(rule: Rule, *, author: str, now: datetime) -> None:
    """Remove a rule. One that has incidents stays, disabled, since they say what they were judged by."""
    incidents = Incident.objects.filter(rule=rule)
    if not incidents.exists():
        rule.delete()
        return
    Rule.objects.filter(pk=rule.pk).update(enabled=False)
    for incident in incidents.exclude(state=IncidentState.RESOLVED):
        episodes.resolve(incident, now=now, reason=f"its rule was removed by {author}")


def _pruned(left: list[Rule]) -> Iterator[Change]:
    for rule in left:
        if not Incident.objects.filter(rule=rule).exists():
            yield Change(kind="remove", name=rule.name)
        elif rule.enabled:
            yield Change(kind="disable", name=rule.name)


def _resolved(found: Read, terms: Terms) -> list[tuple[Declared, dict[str, Any]]]:
    """Each rule with the values that its row is to have."""
    sources = list(Source.objects.values_list("name", flat=True))
    services = set(Service.objects.values_list("name", flat=True))
    default = terms.source or (sources[0] if len(sources) == 1 else "")
    problems, result = list[Problem](), list[tuple[Declared, dict[str, Any]]]()
    for declared in found.rules:
        values = values_of_declared(declared) | {"managed_by": terms.owner}
        values["source"] = values["source"] or default
        wrong = _unknown(values, sources, services)
        if wrong:
            problems.append(Problem(file=declared.file, line=declared.line, text=wrong))
        result.append((declared, values))
    if problems:
        raise Unreadable(problems)
    return result


def _unknown(values: Mapping[str, Any], sources: list[str], services: set[str]) -> str:
    if not values["source"]:
        return f"say with --source where it is asked: {', '.join(sources) or 'there is none yet, the admin makes one'}"
    if values["source"] not in sources:
        return f"there is no source named {values['source']!r}; there are: {', '.join(sources) or 'none'}"
    if values["service"] and values["service"] not in services:
        return f"there is no service named {values['service']!r}; there are: {', '.join(sorted(services)) or 'none'}"
    return ""


def _differences(rule: Rule | None, values: Mapping[str, Any]) -> tuple[Difference, ...]:
    """Field by field; labels, annotations, parameters and conditions name by name."""
    if rule is None:
        return ()
    old, new = _flat(values_of_rule(rule)), _flat(values)
    names = [*old, *(name for name in new if name not in old)]
    return tuple(
        Difference(field=name, old=old.get(name), new=new.get(name)) for name in names if old.get(name) != new.get(name)
    )


def values_of_declared(declared: Declared) -> dict[str, Any]:
    return {
        "source": declared.source,
        "service": declared.service,
        "query": declared.meaning.query,
        "detector": declared.meaning.detector,
        "params": dict(declared.meaning.params),
        **declared.further.values(),
        "interval_s": declared.interval_s,
        "for_s": declared.for_s,
        "keep_firing_for_s": declared.keep_firing_for_s,
        "severity": declared.severity,
        "labels": dict(declared.labels),
        "annotations": dict(declared.annotations),
        "enabled": declared.enabled,
    }


def values_of_rule(rule: Rule) -> dict[str, Any]:
    """The same of a row, without what a file cannot say: empty texts, and labels that say what they say anyway."""
    anyway = {("alertname", rule.name), ("severity", rule.severity)}
    return {
        "source": rule.source.name,
        "service": rule.service.name if rule.service else "",
        "query": rule.query.strip(),
        "detector": rule.detector,
        "params": rule.params,
        **conditions.stored(rule),
        "interval_s": round(rule.interval_s, 3),
        "for_s": round(rule.for_s, 3),
        "keep_firing_for_s": round(rule.keep_firing_for_s, 3),
        "severity": str(rule.severity),
        "labels": {name: text for name, text in rule.labels.items() if text and (name, text) not in anyway},
        "annotations": {name: text for name, text in rule.annotations.items() if text},
        "enabled": rule.enabled,
        "managed_by": rule.managed_by,
    }


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}.{key}": item for key, item in value.items()}
        elif name == "conditions":
            flat |= conditions.flat(value)
        else:
            flat[name] = value
    return flat


def _manager(owner: str) -> str:
    return f"by {owner!r}" if owner else BY_HAND
