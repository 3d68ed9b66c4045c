"""In which order a step reaches its targets, and how many of them at a time. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby

from remediation.models import Step, Target


def in_order(targets: Sequence[Target], *, domain: str) -> list[Target]:
    """By failure domain, then by name: those that share a value of the label `domain` stand together, and those
    without it come first."""
    return sorted(targets, key=lambda target: (domain_of(target, domain), target.name))


def domain_of(target: Target, domain: str) -> str:
    return str(target.labels.get(domain, "")) if domain else ""


def batches(
    targets: Sequence[Target], peers: Sequence[Target], *, rollout: str, domain: str, min_healthy: int
) -> list[list[Target]]:
    """Those that are touched before the next look is taken, in order; never two failure domains in one batch.

    one: 1, 1, 1, ... doubling: 1, 2, 4, ... together: all. peers: every target of the service that is in use; a batch
    leaves at least `min_healthy` of each role untouched where there are more, and is never empty: whether even one is
    too many is for the guards to say.
    """
    found: list[list[Target]] = []
    size = len(targets) if rollout == Step.Rollout.TOGETHER else 1
    for _, group in groupby(in_order(targets, domain=domain), key=lambda target: domain_of(target, domain)):
        left = list(group)
        while left:
            batch = list(_fitting(left[:size], peers, min_healthy))
            found.append(batch)
            left = left[len(batch) :]
            size = size * 2 if rollout == Step.Rollout.DOUBLING else size
    return found


def _fitting(batch: Sequence[Target], peers: Sequence[Target], min_healthy: int) -> Iterator[Target]:
    """The first of a batch, as many as each role can spare."""
    spare = Counter(peer.role for peer in peers)
    for place, target in enumerate(batch):
        spare[target.role] -= 1
        if place and spare[target.role] < min_healthy:
            return
        yield target
