"""Which playbook serves an incident, and which targets a step is about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from remediation import matchers
from remediation.exceptions import ConfigurationError, MatcherError
from remediation.models import Incident, Playbook, Service, Target
from remediation.series import Labels

Choice = TypeVar("Choice")


@dataclass(frozen=True, kw_only=True)
class Match:
    """The playbook that was chosen, and one line on every one that was looked at."""

    playbook: Playbook | None
    considered: tuple[str, ...]


def choose_playbook(incident: Incident, playbooks: Iterable[Playbook]) -> Match:
    """The first that fits, in the given order (priority, then age). A playbook that cannot be read does not fit."""
    chosen: Playbook | None = None
    considered: list[str] = []
    for playbook in playbooks:
        try:
            fits = matchers.matches(playbook.matchers, incident.labels)
        except MatcherError as error:
            considered.append(f"{playbook.name}: cannot be read: {error}")
            continue
        if fits and chosen is None:
            chosen = playbook
            considered.append(f"{playbook.name}: fits {playbook.matchers}")
        elif fits:
            considered.append(f"{playbook.name}: fits too, but {chosen} comes first")
    return Match(playbook=chosen, considered=tuple(considered))


def service_of(labels: Labels, services: Iterable[Service]) -> Service | None:
    """The first service whose matchers fit these labels."""
    return first_fitting(labels, ((service, service.matcher_text) for service in services))


def first_fitting(labels: Labels, choices: Iterable[tuple[Choice, str]]) -> Choice | None:
    """The first of which the matchers fit these labels. Those that cannot be read do not."""
    for choice, wanted in choices:
        try:
            if matchers.matches(wanted, labels):
                return choice
        except MatcherError:
            continue
    return None


def contradicts(target: Target, labels: Labels) -> bool:
    """Whether a label of the target has another value on the incident: then it is about another target."""
    return any(name in labels and labels[name] != value for name, value in target.labels.items())


def select_targets(incident: Incident, targets: Sequence[Target], *, select: str, at_most: int) -> list[Target]:
    """The targets that a step acts on, by name. Raises ConfigurationError when there is none or there are too many:
    an empty selection never means all of them."""
    chosen = [
        target
        for target in targets
        if target.enabled and not contradicts(target, incident.labels) and matchers.matches(select, selectable(target))
    ]
    wanted = select or "any"
    if not chosen:
        raise ConfigurationError(
            f"no target of {incident.service or 'any service'} fits {wanted} and the incident's labels "
            f"({len(targets)} looked at)"
        )
    if len(chosen) > at_most:
        names = ", ".join(target.name for target in chosen)
        raise ConfigurationError(
            f"{len(chosen)} targets fit {wanted} ({names}) and the step allows {at_most}: "
            "tie targets to series by their labels"
        )
    return sorted(chosen, key=lambda target: target.name)


def selectable(target: Target) -> dict[str, str]:
    """What a step's selection may ask of a target."""
    return {**target.labels, "name": target.name, "role": target.role, "backend": target.backend}
