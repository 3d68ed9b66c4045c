"""What watches a service: its rules, and the series of each that belong to it, the worst first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from dashboard.pages import health
from dashboard.pages.words import expected
from remediation import matchers
from remediation.exceptions import MatcherError
from remediation.models import Rule, SeriesState, Service
from remediation.states import Phase, Verdict

SERIES_PER_RULE = 20
WORST = {Phase.FIRING: 0, Phase.RECOVERING: 1, Phase.PENDING: 2}
"""Places of what is wrong; unknown follows, and ok comes last."""


@dataclass(frozen=True, kw_only=True)
class Series:
    state: SeriesState
    expected: str

    @property
    def shown(self) -> str:
        """Unknown wins over the phase that is held meanwhile."""
        return "unknown" if self.state.verdict == "unknown" else self.state.phase


@dataclass(frozen=True, kw_only=True)
class Watched:
    """A rule, and the series of it that belong to the service."""

    rule: Rule
    blind: str
    series: list[Series]
    more: int


def watched(row: Service, now: datetime) -> list[Watched]:
    return [_one(rule, states, now) for rule, states in _found(row)]


def worst_first(row: Service) -> list[tuple[Rule, SeriesState]]:
    """Every series of the service with its rule: what fires, what nobody can see, and what is well last."""
    pairs = [(rule, state) for rule, states in _found(row) for state in states]
    return sorted(pairs, key=lambda pair: (_place(pair[1]), pair[0].name, pair[1].fingerprint))


def _place(state: SeriesState) -> int:
    place = WORST.get(Phase(state.phase)) if state.phase in set(Phase) else None
    if place is not None:
        return place
    return 3 if state.verdict != Verdict.OK else 4


def _found(row: Service) -> Iterator[tuple[Rule, list[SeriesState]]]:
    own = Rule.objects.filter(enabled=True, service=row).select_related("status")
    loose = Rule.objects.filter(enabled=True, service=None).select_related("status")
    by_rule: dict[int, list[SeriesState]] = {rule.pk: [] for rule in [*own, *loose]}
    states = SeriesState.objects.filter(rule_id__in=by_rule).order_by("rule_id", "fingerprint")
    labels = {rule.pk: rule.labels for rule in loose}
    for state in states[: health.SERIES_LIMIT]:
        if state.rule_id not in labels or _fits(row, {**state.labels, **labels[state.rule_id]}):
            by_rule[state.rule_id].append(state)
    for rule in [*own, *(rule for rule in loose if by_rule[rule.pk])]:
        yield rule, by_rule[rule.pk]


def _fits(row: Service, labels: dict[str, str]) -> bool:
    try:
        return matchers.matches(row.matcher_text, labels)
    except MatcherError:
        return False


def _one(rule: Rule, states: list[SeriesState], now: datetime) -> Watched:
    worst = sorted(states, key=lambda state: (_place(state), state.fingerprint))
    series = [Series(state=state, expected=expected(state.lower, state.upper)) for state in worst[:SERIES_PER_RULE]]
    return Watched(
        rule=rule, blind=health.blindness(rule, now), series=series, more=max(0, len(states) - SERIES_PER_RULE)
    )
