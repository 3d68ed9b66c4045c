"""One call of a plan on one target: carried out, probed, undone. Says what is certain afterwards, and never raises."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from remediation import registry
from remediation.act.base import Verb
from remediation.exceptions import ConfigurationError, EffectNotStarted, HomeostatError
from remediation.models import Target
from remediation.redact import redact
from remediation.targets.base import Attempt, Backend, Call, Effect, Found

log = logging.getLogger(__name__)


Outcome = Literal["done", "not_started", "unknown"]


@dataclass(frozen=True, kw_only=True)
class Carried:
    """done: it took place. not_started: it certainly did not. unknown: a probe has to tell. output: bounded, and
    without secrets."""

    outcome: Outcome
    output: str


def carry_out(verb_name: str, target: Target, call: Call, attempt: Attempt) -> Carried:
    return _settled(verb_name, target, lambda verb, on: verb.execute(on, target.ref(), call, attempt))


def undo(verb_name: str, target: Target, call: Call, attempt: Attempt) -> Carried:
    """Bring back what was before the call."""
    return _settled(verb_name, target, lambda verb, on: verb.undo(on, target.ref(), call, attempt))


def probe(verb_name: str, target: Target, call: Call, attempt: Attempt | None = None) -> Found:
    """Ask the world whether the call took place; attempt: see Verb.probe."""
    return _asked(verb_name, target, lambda verb, on: verb.probe(on, target.ref(), call, attempt))


def restored(verb_name: str, target: Target, call: Call) -> Found:
    """Ask the world whether what was before the call is back."""
    return _asked(verb_name, target, lambda verb, on: verb.restored(on, target.ref(), call))


def is_back(verb_name: str, target: Target, call: Call) -> Found:
    """Whether a target that was acted on stands as it should: the call took place, and its runtime can be asked."""
    found = probe(verb_name, target, call)
    if found.done is None and not call.after:  # a verb that foretells nothing: then the runtime's answer has to do
        return _asked(verb_name, target, lambda verb, on: _answers(on, target))
    return found


def _answers(backend: Backend, target: Target) -> Found:
    return Found(done=True, reason="its runtime answers", facts=backend.state(target.ref()))


def can_undo(verb_name: str) -> bool:
    try:
        return registry.verb(verb_name).supports_undo
    except HomeostatError:
        return False


def _settled(verb_name: str, target: Target, do: Callable[[Verb, Backend], Effect]) -> Carried:
    outcome: Outcome = "done"
    try:
        said = do(registry.verb(verb_name), registry.backend(target.backend)).output
    except (EffectNotStarted, ConfigurationError) as error:
        outcome, said = "not_started", str(error)
    except HomeostatError as error:
        outcome, said = "unknown", str(error)
    except Exception as error:
        log.exception("%s of %s broke", verb_name, target)
        outcome, said = "unknown", f"{type(error).__name__}; whether the effect took place is not known"
    return Carried(outcome=outcome, output=redact(said))


def _asked(verb_name: str, target: Target, ask: Callable[[Verb, Backend], Found]) -> Found:
    try:
        found = ask(registry.verb(verb_name), registry.backend(target.backend))
    except HomeostatError as error:
        return Found(done=None, reason=redact(str(error)))
    except Exception as error:
        log.exception("asking %s about its %s broke", target, verb_name)
        return Found(done=None, reason=f"{target}: asking it broke ({type(error).__name__})")
    return Found(done=found.done, reason=redact(found.reason), facts=found.facts)
