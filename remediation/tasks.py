"""Thin: take an id, call one function of the loop."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from functools import partial

from celery import shared_task
from django.utils import timezone

from remediation import loop
from remediation.backtest import job
from remediation.doorbell import answered_here
from remediation.models import Heartbeat
from remediation.schedule import PULSE_S


def _reconcile(*, incident_id: int) -> None:
    loop.reconcile(incident_id)


def _advance(*, remediation_id: int) -> None:
    loop.advance(remediation_id)


ANSWERS: dict[str, Callable[..., object]] = {"reconcile": _reconcile, "advance": _advance}
"""Short, and safe to do at any time: done by whoever finds that they are to be done. An effect never is."""


@shared_task
def evaluate(*, rule_ids: list[int]) -> None:
    answered_here(partial(loop.evaluate_many, rule_ids), ANSWERS)


@shared_task
def pull_alerts(*, source_id: int) -> None:
    answered_here(partial(loop.pull_alerts, source_id), ANSWERS)


@shared_task
def alerts_arrived(*, source_id: int, alert_ids: list[int] | None = None) -> None:
    answered_here(partial(loop.alerts_arrived, source_id, alert_ids or ()), ANSWERS)


@shared_task
def reconcile(*, incident_id: int) -> None:
    answered_here(partial(loop.reconcile, incident_id), ANSWERS)


@shared_task
def advance(*, remediation_id: int) -> None:
    answered_here(partial(loop.advance, remediation_id), ANSWERS)


# Acknowledged early (the default): an effect is never redelivered; what was lost, the sweep finds by its lease.
@shared_task
def act(*, remediation_id: int) -> None:
    loop.act(remediation_id)


@shared_task
def sweep() -> None:
    loop.sweep()


@shared_task
def run_backtest(*, backtest_id: int) -> None:
    job.carry_out(backtest_id)


@shared_task
def pulse(*, queue: str) -> None:
    """A canary through one queue: a worker that is connected but deaf leaves no heartbeat."""
    detail: dict[str, object] = {"pid": os.getpid(), "host": socket.gethostname()}
    Heartbeat.beat(f"worker:{queue}", now=timezone.now(), every_s=PULSE_S, detail=detail)
