"""What a source tells of the world before anything is configured: how fresh it is, and which services it watches."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from remediation.exceptions import ObserveError, QueryRefused, SourceFailed
from remediation.matchers import Matcher
from remediation.observe.answers import Answer
from remediation.observe.inventory import SeenTarget
from remediation.series import Labels

IDENTITY = ("service", "app", "app_kubernetes_io_name", "job")
"""Labels that name a service, the most telling first: a job is only how something is scraped."""
NAMES_A_SERVICE = "service"
"""The label by which services are known that are scraped through something else, such as a gateway."""
LATELY_S = 3600.0
MOST_VALUES = 2000
MAX_NAME = 100


class Client(Protocol):
    """What is asked of a source; every question raises ObserveError."""

    def ping(self) -> float: ...

    def build(self) -> Mapping[str, str]: ...

    def targets(self) -> list[SeenTarget]: ...

    def instant(self, query: str, *, at: float) -> Answer: ...

    def get_label_values(self, label_name: str, params: Any = None) -> Any: ...


@dataclass(frozen=True, kw_only=True)
class Greeting:
    """What a source says when it is asked for the first time. version: empty where it does not tell. up, down: targets
    by their newest sample of `up`. age_s: seconds since the newest of these; None when there is none that counts."""

    version: str
    took_s: float
    up: int
    down: int
    age_s: float | None


@dataclass(frozen=True, kw_only=True)
class FoundInstance:
    """One thing that is scraped. name: as a target would be called. reason: why it is down, where the source says."""

    name: str
    labels: Labels
    up: bool
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class FoundService:
    """A service as the source's labels have it. key: tells it from the others. matchers: what belongs to it."""

    name: str
    label: str
    value: str
    namespace: str
    matchers: str
    instances: tuple[FoundInstance, ...] = ()

    @property
    def key(self) -> str:
        return self.matchers

    @property
    def up(self) -> int:
        return sum(one.up for one in self.instances)


def greet(client: Client, *, now: float) -> Greeting:
    """Raises ObserveError. A server that tells no version, or has no `up`, is one all the same."""
    took = client.ping()
    up = client.instant("up", at=now)
    counts = Counter(bool(one.values.size and one.values[-1] == 1) for one in up.series)
    age = None
    if up.series:
        newest = client.instant("max(timestamp(up))", at=now).series
        age = max(now - float(newest[0].values[-1]), 0.0) if newest else None
    return Greeting(version=_version(client), took_s=took, up=counts[True], down=counts[False], age_s=age)


def services(client: Client, *, now: float) -> list[FoundService]:
    """By name; what is scraped first becomes a service with its instances. Raises ObserveError."""
    grouped: dict[tuple[str, str, str], list[SeenTarget]] = defaultdict(list)
    for target in _scraped(client, now=now):
        if identity := _identity(target.labels):
            grouped[identity].append(target)
    known = {value for label, value, _ in grouped if label == NAMES_A_SERVICE}
    for value in _values(client, now=now):
        if value not in known:
            grouped[NAMES_A_SERVICE, value, ""] = []
    return sorted(_named(grouped), key=lambda one: one.name)


def slug(text: str) -> str:
    """As names of services and targets are written: letters, digits, - and _."""
    return re.sub(r"[^a-zA-Z0-9_]+", "-", text).strip("-").lower()[:MAX_NAME]


def _version(client: Client) -> str:
    try:
        return str(client.build().get("version", ""))
    except ObserveError:
        return ""


def _scraped(client: Client, *, now: float) -> list[SeenTarget]:
    """What is scraped; from the series `up` where the server lists no targets, as Thanos and Mimir do not."""
    try:
        if found := client.targets():
            return found
    except ObserveError:
        pass  # whether it answers at all shows at the next question
    return [
        SeenTarget(
            labels={name: text for name, text in one.labels.items() if name != "__name__"},
            pool="",
            url="",
            health="up" if one.values.size and one.values[-1] == 1 else "down",
            scraped_at=None,
        )
        for one in client.instant("up", at=now).series
    ]


def _identity(labels: Labels) -> tuple[str, str, str] | None:
    """The label that names its service, that name, and its namespace."""
    for label in IDENTITY:
        if value := labels.get(label, ""):
            return label, value, labels.get("namespace", "")
    return None


def _values(client: Client, *, now: float) -> Iterable[str]:
    """Services that series name. A source whose answer cannot be read knows none."""
    span = {"start": f"{now - LATELY_S:.3f}", "end": f"{now:.3f}"}
    try:
        found = list(map(str, client.get_label_values(NAMES_A_SERVICE, span)))
    except (QueryRefused, KeyError, TypeError, ValueError):
        return []
    except SourceFailed:
        raise
    except ObserveError:
        return []
    return filter(None, found[:MOST_VALUES])


def _named(grouped: Mapping[tuple[str, str, str], list[SeenTarget]]) -> Iterator[FoundService]:
    """Each with a name of its own: with its namespace, then its label, where several would be called the same."""
    spaces = Counter((label, value) for label, value, _ in grouped)
    taken = set[str]()
    for (label, value, space), targets in sorted(grouped.items(), key=_by_label):
        several = spaces[label, value] > 1 and bool(space)
        base = slug(f"{space}-{value}" if several else value) or "service"
        name = next(one for one in _names(base, label) if one not in taken)
        taken.add(name)
        wanted = [Matcher(label, "=", value)] + ([Matcher("namespace", "=", space)] if several else [])
        yield FoundService(
            name=name,
            label=label,
            value=value,
            namespace=space,
            matchers=", ".join(map(str, wanted)),
            instances=tuple(_instances(targets)),
        )


def _by_label(item: tuple[tuple[str, str, str], list[SeenTarget]]) -> tuple[int, str, str]:
    (label, value, space), _ = item
    return IDENTITY.index(label), value, space


def _names(base: str, label: str) -> Iterator[str]:
    yield base
    yield slug(f"{base}-{label}")
    number = 2
    while True:
        yield f"{base[: MAX_NAME - 6]}-{number}"
        number += 1


def _instances(targets: Iterable[SeenTarget]) -> Iterator[FoundInstance]:
    taken = set[str]()
    for target in sorted(targets, key=lambda one: one.labels.get("instance", "")):
        instance = target.labels.get("instance", "") or target.url
        base = slug(instance) or "instance"
        name = next(one for one in _names(base, target.labels.get("job", "")) if one not in taken)
        taken.add(name)
        up = target.health == "up"
        yield FoundInstance(name=name, labels=target.labels, up=up, reason="" if up else target.last_error)
