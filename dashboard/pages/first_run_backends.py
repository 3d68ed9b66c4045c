"""First run: which backend an instance looks like, from what its source's series say. A proposal, never a decision."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from string import Formatter
from typing import Protocol

from django.utils.translation import gettext as _

from remediation import registry
from remediation.exceptions import ObserveError
from remediation.observe.answers import Answer
from remediation.observe.discovery import IDENTITY, FoundInstance
from remediation.series import Labels
from remediation.targets.base import Backend, Sign

CALLED = (*IDENTITY, "target", "container", "pod", "name")
"""Labels that say what an instance is called."""
PORT = re.compile(r":\d+$")


class Client(Protocol):
    def instant(self, query: str, *, at: float) -> Answer: ...


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """backend: its name. label: for people. metric: why. params: what the series tell of its parameters."""

    backend: str
    label: str
    metric: str
    params: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Clues:
    """The series of a source that are a sign of a backend; empty where it has none, or could not be asked."""

    series: tuple[Labels, ...] = ()

    def about(self, instance: FoundInstance) -> Proposal | None:
        """The first backend, in the order of names, that one of its signs speaks for."""
        for backend, sign in _signs():
            rows = [row for row in self.series if _tells(sign, row, instance)]
            if rows:
                label = _(backend.label)
                return Proposal(backend=backend.name, label=label, metric=sign.metric, params=_params(sign, rows))
        return None


def look(client: Client, *, now: float) -> Clues:
    """One question for the signs of all backends, answered without the labels that nobody reads."""
    signs = [sign for _backend, sign in _signs()]
    if not signs:
        return Clues()
    metrics = "|".join(dict.fromkeys(sign.metric for sign in signs))
    read = {name for sign in signs for name in (*sign.named, *_places(sign))}
    labels = ", ".join(sorted({"__name__", "job", "instance", *read}))
    try:
        answer = client.instant(f'group by ({labels}) ({{__name__=~"{metrics}"}})', at=now)
    except ObserveError:
        return Clues()  # a proposal less; what the source is for is asked elsewhere
    return Clues(series=tuple(one.labels for one in answer.series))


def _signs() -> Iterator[tuple[Backend, Sign]]:
    return ((backend, sign) for _name, backend in sorted(registry.backends().items()) for sign in backend.signs)


def _tells(sign: Sign, row: Labels, instance: FoundInstance) -> bool:
    """Whether a series is the instance's own or, where the sign names what runs, tells of what is called so there."""
    if row.get("__name__") != sign.metric:
        return False
    if not sign.named:
        return all(row.get(name, "") == instance.labels.get(name, "") for name in ("job", "instance"))
    called = {instance.labels[name] for name in CALLED if instance.labels.get(name)}
    return _host(row) == _host(instance.labels) and any(row.get(name) in called for name in sign.named)


def _host(labels: Labels) -> str:
    return PORT.sub("", labels.get("instance", ""))


def _params(sign: Sign, rows: Iterable[Labels]) -> dict[str, str]:
    """What all of its series agree on."""
    found: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        for name, text in sign.params.items():
            found[name].add(text.format_map(defaultdict(str, row)))
    return {name: next(iter(values)) for name, values in found.items() if len(values) == 1}


def _places(sign: Sign) -> Iterator[str]:
    return (place for text in sign.params.values() for _text, place, *_rest in Formatter().parse(text) if place)
