"""What a rule asks at each slot of a range, and what it says of the answers: as live evaluation does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from remediation.backtest import samples
from remediation.backtest.replay import NOTHING, Moment
from remediation.backtest.slots import Slots, grid_of
from remediation.combination import Combination
from remediation.detect.base import Verdicts
from remediation.detect.combine import Condition, Traffic
from remediation.detect.following import Followers
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
        self.followers = [Followers(asked.detector, asked.params, asked.query) for asked in self.conditions]
        self.stale_after_s = float(rule.source.stale_after_s)

    def moments(self, client: Client, slots: Slots) -> Iterator[Moment]:
        """Slot after slot what all conditions saw, the rule's own query first and the traffic, where it is asked, last.
        Raises ObserveError."""
        asked = list(zip(self.conditions, (one.window_s for one in self.followers), strict=True))
        if (traffic := self.combination.traffic) is not None:
            asked.append((traffic, traffic.question.window_s))
        return zip(*(_moments(one, window_s, client, slots) for one, window_s in asked), strict=True)

    def judge(self, moment: Moment, open_series: Callable[[], Sequence[Labels]]) -> Verdicts:
        """open_series: those that are pending, firing or recovering."""
        if len(moment) == 1:
            return self._judge(0, moment[0])
        found = [
            Condition(name=wanted.name, verdicts=self._judge(place, moment[place]))
            for place, wanted in enumerate(self.combination.wanted)
        ]
        return self.combination.come_to(found, lambda: self._traffic(moment), now=moment[0].now, known=open_series())

    def _judge(self, place: int, matrix: Matrix) -> Verdicts:
        # An empty answer means something to those detectors only that ask for liveness; it need not be judged then.
        blank = not matrix.labels and not self.conditions[place].detector.needs_liveness
        return NOTHING if blank else self.followers[place].judge(matrix)

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


def _moments(asked: Asked, window_s: float, client: Client, slots: Slots) -> Iterator[Matrix]:
    question = replace(asked.question, window_s=window_s)
    grid = grid_of(slots, window_s=question.window_s, step_s=question.step_s)
    if asked.detector.source == "alerts":
        return samples.alert_moments(client, asked.query, slots, grid)
    return samples.moments(client, question, slots, grid)
