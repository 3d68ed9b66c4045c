"""The plan: what exactly would be done, to what, why, and how it will be proved. Fixed once written."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from remediation import registry
from remediation.canonical import canonical
from remediation.exceptions import EffectNotStarted, HomeostatError
from remediation.models import Incident, Playbook, Step, Target
from remediation.redact import redact, redacted_facts
from remediation.series import digest
from remediation.targets.base import Call

log = logging.getLogger(__name__)


def preview(step_verb: str, params: dict[str, Any], targets: Sequence[Target]) -> list[Call]:
    """The exact calls, read off the targets as they are now; touches nothing.

    Raises ConfigurationError (cannot work, or nothing is left to do), OwnProcess, EffectError (cannot be looked at),
    each without secrets: it says what a runtime said, and will be stored.
    """
    try:
        return [_call(step_verb, params, target) for target in targets]
    except HomeostatError as error:
        error.args = (redact(str(error)),)
        raise
    except Exception as error:
        log.exception("looking at %s for a %s broke", targets, step_verb)
        raise EffectNotStarted(f"looking at the target broke ({type(error).__name__})") from error


def _call(step_verb: str, params: dict[str, Any], target: Target) -> Call:
    verb = registry.verb(step_verb)
    backend = registry.backend(target.backend)
    verb.fits(backend)
    ref = target.ref()
    backend.check(ref)
    call = verb.preview(backend, ref, verb.parse(params))
    return replace(
        call,
        configured=_configured(target),
        text=redact(call.text),
        before=redacted_facts(call.before),
        after=redacted_facts(call.after),
        undo=redact(call.undo),
    )


def _configured(target: Target) -> str:
    """A digest of everything about a target that a person can edit and that decides what an effect on it does."""
    kept = ("service_id", "name", "backend", "params", "role", "labels")
    return digest(canonical({name: getattr(target, name) for name in kept}))


def build(
    incident: Incident,
    playbook: Playbook,
    step: Step,
    targets: Sequence[Target],
    calls: Sequence[Call],
    *,
    batches: Sequence[Sequence[Target]] = (),
) -> dict[str, Any]:
    """The plan as it is stored. Everything an approval signs is in it, and no clock. targets: in the order in which
    they are reached; batches: the same, by how many at a time."""
    return {
        "playbook": {"id": playbook.pk, "name": playbook.name, "version": playbook.version},
        "step": {
            "position": step.position,
            "verb": step.verb,
            "params": step.params,
            "timeout_s": step.timeout_s,
            "approval_ttl_s": step.approval_ttl_s,
            "cooldown_s": step.cooldown_s,
            "budget": step.budget,
            "budget_window_s": step.budget_window_s,
            "budget_per_target": step.budget_per_target,
            "min_healthy": step.min_healthy,
            "rollout": step.rollout,
            "domain": step.domain,
        },
        "targets": [{"id": t.pk, "name": t.name, "backend": t.backend, "role": t.role} for t in targets],
        "calls": [asdict(call) for call in calls],
        "batches": [[target.pk for target in batch] for batch in batches],
        "evidence": {
            "rule": incident.rule.name,
            "rule_version": incident.rule_version.number,
            "query": incident.rule_version.body["query"],
            "labels": redacted_facts(incident.labels),
            "value": incident.value,
            "reason": redact(incident.reason),
        },
        "verify": {
            "good_samples": step.good_samples,
            "within_s": step.verify_within_s,
            "settle_s": step.settle_s,
            "queries": step.verify_queries,
            "collateral": step.collateral,
            "undo": step.undo,
            "relapse_s": step.relapse_s,
        },
    }


def digest_of(plan: dict[str, Any]) -> str:
    """What an approval signs."""
    return digest(canonical(plan))


def batches_of(plan: dict[str, Any]) -> list[list[int]]:
    """The ids of the targets that are touched before the next look; one by one where a plan does not say."""
    return plan.get("batches") or [[target["id"]] for target in plan["targets"]]


def stored_calls(plan: dict[str, Any]) -> list[Call]:
    return [Call(**call) for call in plan["calls"]]


def changed(planned: Sequence[Call], now: Sequence[Call]) -> str:
    """What is no longer as it was planned for; empty when nothing that matters has changed."""
    for before, after in zip(planned, now, strict=True):
        if dict(before.before) != dict(after.before) or before.text != after.text:
            return f"{before.target} was {dict(before.before)} when this was planned and is {dict(after.before)} now"
        if canonical(before.arguments) != canonical(after.arguments):
            return f"{before.target}: {dict(before.arguments)} was planned and would be {dict(after.arguments)} now"
        if before.configured and before.configured != after.configured:
            return f"the target {before.target} was edited since this was planned"
    return ""
