"""The guards on the simulated clock: what each would have said, and until when.

The real ones read the database as it is now; these read what is simulated, and what was recorded at the time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from remediation import registry
from remediation.backtest.record import NEVER, PastEffect, ServiceRecord, Window
from remediation.models import Step

SIMULATED = ("budget", "busy", "cooldown", "dependency", "freeze", "stale")
"""Guards that are simulated; any other one that is installed is named among the assumptions."""


@dataclass(frozen=True, kw_only=True)
class No:
    guard: str
    reason: str
    until: float

    @property
    def label(self) -> str:
        return registry.guards()[self.guard].label


@dataclass(kw_only=True)
class Effect:
    """An effect that was simulated. `end`: when it no longer counts as at work."""

    start: float
    end: float
    target_ids: frozenset[int]
    text: str


def refusals(
    step: Step, record: ServiceRecord, simulated: Iterable[Effect], target_ids: frozenset[int], *, now: float
) -> list[No]:
    """Every guard that says no at this moment. The effects of other rules are as they were recorded; those of this
    rule are what is being simulated."""
    past: list[Effect | PastEffect] = [one for one in record.effects if not one.own and one.start <= now]
    past += [one for one in simulated if one.start <= now]
    return [
        *_budget(step, past, target_ids, now),
        *_busy(past, now),
        *_cooldown(step, past, target_ids, now),
        *_held(record.causes, "dependency", "waits for {}", now),
        *_held(record.freezes, "freeze", "frozen {}", now),
    ]


def _budget(step: Step, past: list[Effect | PastEffect], target_ids: frozenset[int], now: float) -> Iterator[No]:
    """Of the service and, where the step has one, of each target. What failure domains and everything together may
    spend rests on other services, and is not simulated."""
    yield from _spent("", [one.start for one in past], step.budget, float(step.budget_window_s), now)
    if step.budget_per_target:
        for target in sorted(target_ids):
            starts = [one.start for one in past if target in one.target_ids]
            yield from _spent(" on one target", starts, step.budget_per_target, float(step.budget_window_s), now)


def _spent(where: str, starts: list[float], allowed: int, window_s: float, now: float) -> Iterator[No]:
    spent = sorted(start for start in starts if start > now - window_s)
    if len(spent) >= allowed:
        until = spent[len(spent) - allowed] + window_s if allowed else NEVER
        reason = f"{len(spent)} of {allowed} effects spent{where} in the last {window_s / 60:.0f} min"
        yield No(guard="budget", reason=reason, until=until)


def _busy(past: list[Effect | PastEffect], now: float) -> Iterator[No]:
    at_work = [one for one in past if one.end > now]
    if at_work:
        reason = "; ".join(f"{one.text} is under way" for one in at_work[:3])
        yield No(guard="busy", reason=reason, until=min(one.end for one in at_work))


def _cooldown(step: Step, past: list[Effect | PastEffect], target_ids: frozenset[int], now: float) -> Iterator[No]:
    last = max((one.start for one in past if one.target_ids & target_ids), default=None)
    if last is not None and now - last < step.cooldown_s:
        reason = f"last effect {now - last:.0f} s ago, {step.cooldown_s:.0f} s asked"
        yield No(guard="cooldown", reason=reason, until=last + float(step.cooldown_s))


def _held(windows: list[Window], guard: str, words: str, now: float) -> Iterator[No]:
    holding = [one for one in windows if one.covers(now)]
    if holding:
        names = ", ".join(sorted({one.text for one in holding}))
        yield No(guard=guard, reason=words.format(names), until=max(one.end for one in holding))
