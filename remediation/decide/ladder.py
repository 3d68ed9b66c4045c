"""Which rung comes next in an episode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from remediation.models import Remediation, Step
from remediation.states import NEXT_RUNG, RemediationState

UNTOUCHED_TRIES = 2
"""How often a step whose effect certainly never started is tried beyond its attempts."""
BEGUN_ANEW = (RemediationState.SELF_RECOVERED, RemediationState.SUPERSEDED)
UNANSWERED = (RemediationState.EXPIRED, RemediationState.REJECTED)
"""Nobody said yes. These are no attempts: nothing was tried."""
ANEW_TRIES = 3
"""A target that is another at each look, or a condition that two questions answer differently, is for a person."""


@dataclass(frozen=True, kw_only=True)
class Rung:
    step: Step
    attempt: int


@dataclass(frozen=True, kw_only=True)
class Stop:
    """No further rung. `person` says whether somebody has to look."""

    reason: str
    person: bool


def next_rung(
    steps: Sequence[Step], past: Sequence[Remediation], *, bad_again: bool, asked_again: bool = False
) -> Rung | Stop:
    """The next step of a ladder.

    steps: in order. past: this episode's remediations, oldest first, none of them live. bad_again: whether the
    condition was bad after the last of them had ended. asked_again: whether a person wants the last, which nobody
    approved, to be asked for anew. Ineffective and failed go on (same step while attempts are left, then the next);
    verified goes on only on a relapse; everything else is for a person.
    """
    if not steps:
        return Stop(reason="the playbook has no steps", person=True)
    if past and past[-1].state in UNANSWERED and asked_again:
        return Rung(step=_step_at(steps, past[-1].position), attempt=past[-1].attempt)
    return _after(steps, past, bad_again=bad_again) if past else Rung(step=steps[0], attempt=1)


def _after(steps: Sequence[Step], past: Sequence[Remediation], *, bad_again: bool) -> Rung | Stop:
    last = past[-1]
    state = RemediationState(last.state)
    if state == RemediationState.SHADOWED:
        return Stop(reason="shadow: it recorded what it would have done and only watches", person=False)
    if state in BEGUN_ANEW:
        if _in_a_row(past) >= ANEW_TRIES:
            return Stop(reason=f"{ANEW_TRIES} plans in a row came to nothing; the last: {last.reason}", person=True)
        return Rung(step=_step_at(steps, last.position), attempt=last.attempt) if bad_again else _wait(state)
    if state == RemediationState.VERIFIED and not bad_again:
        return _wait(state)
    if state in NEXT_RUNG or state == RemediationState.VERIFIED:
        return _onwards(steps, past)
    return Stop(reason=f"{last.verb} ended {state.replace('_', ' ')}: {last.reason}", person=True)


def _in_a_row(past: Sequence[Remediation]) -> int:
    """How many of the newest ended without anything having been tried."""
    return sum(1 for _ in takewhile(lambda one: one.state in BEGUN_ANEW, reversed(past)))


def _wait(state: RemediationState) -> Stop:
    return Stop(reason=f"{state.replace('_', ' ')}; waiting for the condition to end", person=False)


def _step_at(steps: Sequence[Step], position: int) -> Step:
    return next((step for step in steps if step.position == position), steps[0])


def _onwards(steps: Sequence[Step], past: Sequence[Remediation]) -> Rung | Stop:
    """The same step while it may be tried again, else the one after it, else a person."""
    last = past[-1]
    nothing_tried = (*UNANSWERED, *BEGUN_ANEW)
    tries = [one for one in past if one.position == last.position and one.state not in nothing_tried]
    touched = [one for one in tries if one.state != RemediationState.FAILED]
    untouched = len(tries) - len(touched)
    current = next((step for step in steps if step.position == last.position), None)
    retry_untouched = last.state == RemediationState.FAILED and last not in touched and 0 < untouched < UNTOUCHED_TRIES
    if current is not None and (retry_untouched or (touched and len(touched) < current.max_attempts)):
        return Rung(step=current, attempt=last.attempt + 1)
    later = [step for step in steps if step.position > last.position]
    if later:
        return Rung(step=later[0], attempt=1)
    return Stop(reason=f"every step was tried; the last, {last.verb}, ended {last.state}: {last.reason}", person=True)
