"""All that a rule asks: its conditions, how many of them must be bad, and the traffic behind them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from remediation.detect.base import Verdicts, last_points
from remediation.detect.combine import Condition, Traffic, combine, weigh
from remediation.exceptions import ConfigurationError
from remediation.judging import Asked
from remediation.models import Rule, Source
from remediation.series import Labels, Matrix
from remediation.states import Code, Phase

OWN = "query"
"""What the rule's own query is called among its conditions."""
OPEN = (Phase.PENDING, Phase.FIRING, Phase.RECOVERING)
"""A series in one of these is judged on by the other conditions when the rule's own query no longer returns it."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """One condition, as it is stored."""

    name: str
    source: Source
    query: str
    detector: str
    params: dict[str, Any]

    def asked(self) -> Asked:
        """Raises ConfigurationError."""
        return Asked.of(self.source, self.query, self.detector, self.params)


@dataclass(frozen=True, kw_only=True)
class Combination:
    """wanted: the rule's own query first. need: how many of them must be bad. traffic: None where it is not asked."""

    wanted: tuple[Wanted, ...]
    need: int
    traffic: Asked | None
    minimum_traffic: float

    @classmethod
    def of(cls, rule: Rule) -> Self:
        """Raises ConfigurationError where the rule is not one that Rule.clean lets through."""
        wanted = [_own(rule), *(_further(rule, at, one) for at, one in enumerate(rule.conditions, start=2))]
        return cls(wanted=tuple(wanted), need=rule.needed, traffic=_traffic(rule), minimum_traffic=rule.minimum_traffic)

    def come_to(
        self, found: Sequence[Condition], traffic: Callable[[], Traffic], *, now: float, known: Sequence[Labels] = ()
    ) -> Verdicts:
        """The verdicts of all conditions together. traffic: asked only where something is bad."""
        verdicts = combine(found, need=self.need, now=now, known=known)
        if self.traffic is None or not np.any(verdicts.codes == Code.BAD):
            return verdicts
        return weigh(verdicts, traffic())

    def traffic_in(self, matrix: Matrix) -> Traffic:
        return Traffic(minimum=self.minimum_traffic, labels=matrix.labels, values=last_points(matrix)[0])


def is_combined(rule: Rule) -> bool:
    """Whether a rule asks more than its own query."""
    return bool(rule.conditions) or _asks_traffic(rule)


def _asks_traffic(rule: Rule) -> bool:
    return bool(rule.traffic_query.strip()) and rule.minimum_traffic > 0


def _own(rule: Rule) -> Wanted:
    return Wanted(name=OWN, source=rule.source, query=rule.query, detector=rule.detector, params=rule.params)


def _further(rule: Rule, at: int, stored: Any) -> Wanted:
    try:
        name, query, detector = (str(stored.get(key, "")) for key in ("name", "query", "detector"))
        params = dict(stored.get("params") or {})
    except (AttributeError, TypeError, ValueError):
        raise ConfigurationError(f"condition {at} of the rule cannot be read; open it in the admin") from None
    return Wanted(name=name or f"condition {at}", source=rule.source, query=query, detector=detector, params=params)


def _traffic(rule: Rule) -> Asked | None:
    """Asked as a threshold is: the newest sample of each series, and nothing of its verdict is used."""
    if not _asks_traffic(rule):
        return None
    limit: Mapping[str, Any] = {"op": "<", "value": rule.minimum_traffic}
    return Asked.of(rule.source, rule.traffic_query, "threshold", dict(limit))
