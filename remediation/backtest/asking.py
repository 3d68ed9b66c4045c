"""What a rule asks at each slot of a range, and what it says of the answers: as live evaluation does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from remediation.backtest import samples
from remediation.backtest.replay import NOTHING, Moment
from remediation.backtest.slots import Slots, grid_of
from remediation.combination import Combination
from remediation.detect.base import Verdicts
from remediation.detect.combine import Condition, Traffic
from remediation.judging import Asked
from remediation.models import Rule
from remediation.observe import promql
from remediation.observe.window import Client
from remediation.series import Labels, Matrix


class Asking:
    """A rule on a recorded clock. Raises ConfigurationError for one that cannot be."""

    def __init__(self, rule: Rule) -> None:
        self.combination = Combination.of(rule)
        self.conditions = [wanted.asked() for wanted in self.combination.wanted]
        self.stale_after_s = float(rule.source.stale_after_s)

    def moments(self, client: Client, slots: Slots) -> Iterator[Moment]:
        """Slot after slot what all conditions saw, the rule's own query first and the traffic, where it is asked, last.
        Raises ObserveError."""
        traffic = [self.combination.traffic] if self.combination.traffic else []
        return zip(*(_moments(asked, client, slots) for asked in [*self.conditions, *traffic]), strict=True)

    def judge(self, moment: Moment, open_series: Callable[[], Sequence[Labels]]) -> Verdicts:
        """open_series: those that are pending, firing or recovering."""
        if len(moment) == 1:
            return _judge(self.conditions[0], moment[0])
        found = [
            Condition(name=wanted.name, verdicts=_judge(asked, matrix))
            for wanted, asked, matrix in zip(self.combination.wanted, self.conditions, moment, strict=False)
        ]
        return self.combination.come_to(found, lambda: self._traffic(moment), now=moment[0].now, known=open_series())

    def _traffic(self, moment: Moment) -> Traffic:
        return self.combination.traffic_in(moment[-1])

    @property
    def reach_s(self) -> float:
        """How far back the verdicts rest on older samples at most."""
        samples_only = (asked.query for asked in self.conditions if asked.detector.source == "samples")
        return max((promql.reach_s(query, lookback_s=self.stale_after_s) for query in samples_only), default=0.0)

    @property
    def asks_alerts(self) -> bool:
        return any(asked.detector.source == "alerts" for asked in self.conditions)


def _moments(asked: Asked, client: Client, slots: Slots) -> Iterator[Matrix]:
    question = asked.question
    grid = grid_of(slots, window_s=question.window_s, step_s=question.step_s)
    if asked.detector.source == "alerts":
        return samples.alert_moments(client, asked.query, slots, grid)
    return samples.moments(client, question, slots, grid)


def _judge(asked: Asked, matrix: Matrix) -> Verdicts:
    # An empty answer means something to those detectors only that ask for liveness; it need not be judged then.
    blank = not matrix.labels and not asked.detector.needs_liveness
    return NOTHING if blank else asked.detector.judge(matrix, asked.params)
