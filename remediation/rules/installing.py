"""Installing rules of the library for a source: under names that several sources can have side by side."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from remediation.models import Rule, Source
from remediation.rules import declared, names, plan
from remediation.rules.declared import Declared, Read
from remediation.rules.plan import Plan, Terms
from remediation.rules.ready import Shelf

OWNER = "library:"


def is_library(owner: str) -> bool:
    return owner.startswith(OWNER)


@dataclass(frozen=True, kw_only=True)
class Installation:
    """What installing a shelf for a source means: its rules as they would be called there, on whose behalf, and the
    plan. elsewhere: names that belong to others, whose rules are left out."""

    found: Read
    terms: Terms
    plan: Plan
    elsewhere: tuple[str, ...] = ()


def prepare(shelf: Shelf, terms: Terms, *, enabled: bool | None = None, leave_out: bool = False) -> Installation:
    """terms: source and how far it may go; its owner is chosen here. enabled: what new rules are; None: as the file
    says. leave_out: without the rules whose names belong to somebody else. Raises Unreadable."""
    source = terms.source or _only_source()
    owner = owner_of(shelf, source)
    mine = replace(terms, owner=owner, source=source)
    found = declared.read([(shelf.file, shelf.text)])
    if owner != shelf.owner:
        found.rules = [_of_source(rule, source) for rule in found.rules]
    found.rules = list(_switched(found.rules, owner, enabled))
    shown = plan.make(found, mine)
    elsewhere = _elsewhere(found.rules, owner) if leave_out else ()
    if elsewhere:
        found.rules = [rule for rule in found.rules if rule.name not in elsewhere]
        shown = plan.make(found, mine)
    return Installation(found=found, terms=mine, plan=shown, elsewhere=elsewhere)


def owner_of(shelf: Shelf, source: str) -> str:
    """`library:NAME` for the source that had it first, `library:NAME@SOURCE` for every further one."""
    first = Rule.objects.filter(managed_by=shelf.owner).values_list("source__name", flat=True).first()
    return shelf.owner if first in (None, source) else f"{shelf.owner}@{source}"


def metrics_of(shelf: Shelf) -> list[str]:
    """The metrics that its rules ask for, each once; without `up`, which every source has."""
    named = (name for rule in shelf.rules() for name in names.metrics_of(rule.meaning.query))
    return [name for name in dict.fromkeys(named) if name != "up"]


def _of_source(rule: Declared, source: str) -> Declared:
    """Its name tells the source; alertname, which playbooks match on, stays."""
    ending = f" ({source})"
    name = rule.name[: declared.MAX_NAME - len(ending)] + ending
    return replace(rule, name=name, labels={**rule.labels, "alertname": rule.labels.get("alertname", rule.alert)})


def _switched(rules: Iterable[Declared], owner: str, enabled: bool | None) -> Iterable[Declared]:
    """What was switched on or off by hand stays so; only new rules follow the wish."""
    there = dict(Rule.objects.filter(managed_by=owner).values_list("name", "enabled"))
    for rule in rules:
        yield replace(rule, enabled=there.get(rule.name, rule.enabled if enabled is None else enabled))


def _elsewhere(rules: Iterable[Declared], owner: str) -> tuple[str, ...]:
    wanted = [rule.name for rule in rules]
    return tuple(Rule.objects.filter(name__in=wanted).exclude(managed_by=owner).values_list("name", flat=True))


def _only_source() -> str:
    found = list(Source.objects.values_list("name", flat=True)[:2])
    return found[0] if len(found) == 1 else ""
