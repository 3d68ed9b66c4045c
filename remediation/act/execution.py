"""Carry out a plan, call by call, and say what is certain afterwards."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from remediation import registry
from remediation.conf import OUTPUT_LIMIT
from remediation.exceptions import ConfigurationError, EffectNotStarted, HomeostatError
from remediation.models import Target
from remediation.targets.base import Attempt, Call, Found

log = logging.getLogger(__name__)


Outcome = Literal["done", "not_started", "unknown"]


@dataclass(frozen=True, kw_only=True)
class Carried:
    """done: every call took place. not_started: certainly none did. unknown: a probe has to tell."""

    outcome: Outcome
    output: str


def carry_out(
    verb_name: str,
    targets: Sequence[Target],
    calls: Sequence[Call],
    *,
    key: str,
    fence: int,
    timeout_s: float,
    still_mine: Callable[[], bool],
) -> Carried:
    """Do the calls one after another within one deadline; stop at the first that does not certainly succeed.

    still_mine is asked right before each call: a worker that slept past its lease must find that out before it acts.
    """
    ends = time.monotonic() + timeout_s
    output: list[str] = []
    for number, (target, call) in enumerate(zip(targets, calls, strict=True)):
        left = ends - time.monotonic()
        if left <= 0 or not still_mine():
            output.append(f"{target}: not begun, since this worker's time was over")
            return Carried(outcome="unknown" if number else "not_started", output=_bounded(output))
        attempt = Attempt(key=f"{key}:{target.pk}", fence=fence, timeout_s=left)
        outcome, said = _carry_out_one(verb_name, target, call, attempt)
        output.append(f"{target}: {said}")
        if outcome != "done":
            return Carried(outcome="unknown" if number else outcome, output=_bounded(output))
    return Carried(outcome="done", output=_bounded(output))


def _carry_out_one(verb_name: str, target: Target, call: Call, attempt: Attempt) -> tuple[Outcome, str]:
    """One call: what is certain afterwards, and what was said."""
    try:
        verb = registry.verb(verb_name)
        return "done", verb.execute(registry.backend(target.backend), target.ref(), call, attempt).output
    except (EffectNotStarted, ConfigurationError) as error:
        return "not_started", str(error)
    except HomeostatError as error:
        return "unknown", str(error)
    except Exception as error:
        log.exception("%s of %s broke", verb_name, target)
        return "unknown", f"{type(error).__name__}; whether the effect took place is not known"


def probe(verb_name: str, targets: Sequence[Target], calls: Sequence[Call]) -> Found:
    """Ask the world about every call: done only when all were, not started only when none was. Never raises."""
    if len(targets) != len(calls):
        return Found(done=None, reason="a target of the plan is no longer there to be asked")
    found = [_probe_one(verb_name, target, call) for target, call in zip(targets, calls, strict=True)]
    reason = "; ".join(one.reason for one in found)
    answers = {one.done for one in found}
    return Found(done=answers.pop() if len(answers) == 1 else None, reason=reason)


def _probe_one(verb_name: str, target: Target, call: Call) -> Found:
    try:
        return registry.verb(verb_name).probe(registry.backend(target.backend), target.ref(), call)
    except HomeostatError as error:
        return Found(done=None, reason=str(error))
    except Exception as error:
        log.exception("probing %s of %s broke", verb_name, target)
        return Found(done=None, reason=f"{target}: asking it broke ({type(error).__name__})")


def _bounded(output: Sequence[str]) -> str:
    text = "\n".join(output)
    return text if len(text) <= OUTPUT_LIMIT else text[:OUTPUT_LIMIT] + "\n… cut here"
