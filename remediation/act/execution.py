"""Carry out a plan, call by call, and say what is certain afterwards."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from remediation import registry
from remediation.conf import OUTPUT_LIMIT
from remediation.exceptions import ConfigurationError, EffectNotStarted, HomeostatError
from remediation.models import Target
from remediation.targets.base import Attempt, Call, Found

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Carried:
    """done: every call took place. not_started: certainly none did. unknown: a probe has to tell."""

    outcome: Literal["done", "not_started", "unknown"]
    output: str


def carry_out(
    verb_name: str, targets: Sequence[Target], calls: Sequence[Call], *, key: str, fence: int, timeout_s: float
) -> Carried:
    """Do the calls one after another within one deadline; stop at the first that does not certainly succeed."""
    ends = time.monotonic() + timeout_s
    output: list[str] = []
    for number, (target, call) in enumerate(zip(targets, calls, strict=True)):
        try:
            verb = registry.verb(verb_name)
            attempt = Attempt(key=f"{key}:{target.pk}", fence=fence, timeout_s=max(0.1, ends - time.monotonic()))
            effect = verb.execute(registry.backend(target.backend), target.ref(), call, attempt)
        except (EffectNotStarted, ConfigurationError) as error:
            output.append(f"{target}: {error}")
            return Carried(outcome="unknown" if number else "not_started", output=_bounded(output))
        except HomeostatError as error:
            output.append(f"{target}: {error}")
            return Carried(outcome="unknown", output=_bounded(output))
        except Exception as error:
            log.exception("%s of %s broke", verb_name, target)
            output.append(f"{target}: {type(error).__name__}; whether the effect took place is not known")
            return Carried(outcome="unknown", output=_bounded(output))
        output.append(f"{target}: {effect.output}")
    return Carried(outcome="done", output=_bounded(output))


def probe(verb_name: str, targets: Sequence[Target], calls: Sequence[Call]) -> Found:
    """Ask the world about every call: done only when all were, not started only when none was."""
    verb = registry.verb(verb_name)
    found: list[Found] = []
    for target, call in zip(targets, calls, strict=True):
        try:
            found.append(verb.probe(registry.backend(target.backend), target.ref(), call))
        except HomeostatError as error:
            found.append(Found(done=None, reason=str(error)))
    reason = "; ".join(one.reason for one in found)
    answers = {one.done for one in found}
    return Found(done=answers.pop() if len(answers) == 1 else None, reason=reason)


def _bounded(output: Sequence[str]) -> str:
    text = "\n".join(output)
    return text if len(text) <= OUTPUT_LIMIT else text[:OUTPUT_LIMIT] + "\n… cut here"
