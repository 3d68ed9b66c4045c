"""A backtest as a row: asked for in the browser, carried out by a process of its own, stopped by the row."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from remediation.backtest.asking import Asking
from remediation.backtest.replay import Cancelled
from remediation.backtest.run import Plan, edited, run
from remediation.doorbell import ring, ring_after_commit
from remediation.exceptions import HomeostatError
from remediation.models import Backtest, Playbook, Rule
from remediation.observe.window import Client

log = logging.getLogger(__name__)

AT_ONCE = 2
"""Backtests that run at the same time; more of them wait."""
LONGEST_S = 3600.0
"""After this it is given up: a source that answers so slowly needs a shorter range."""
SIGN_EVERY_S = 0.7
"""How often progress is written and it is asked whether to stop."""
SILENT = timedelta(seconds=60)
"""Without a sign of life for so long, whoever had it is gone."""
WAITS = timedelta(seconds=10)
"""A queued one is rung for again after this, when somebody looks at it."""

State = Backtest.State


def start(
    rule: Rule,
    *,
    changes: dict[str, Any],
    begin: datetime,
    end: datetime,
    playbook: Playbook | None,
    by: str,
    now: datetime,
) -> Backtest:
    """Queue a backtest. Raises ConfigurationError when the edited parameters cannot be."""
    judged_by = edited(rule, changes)
    Asking(judged_by)
    with transaction.atomic():
        row = Backtest.objects.create(
            rule=rule,
            body=judged_by.body(),
            changes=changes,
            playbook=playbook,
            start=begin,
            end=end,
            by=by,
            created_at=now,
            seen_at=now,
        )
        Backtest.forget_old(rule)
        ring_after_commit("run_backtest", backtest_id=row.pk)
    return row


def cancel(row: Backtest, *, by: str, now: datetime) -> bool:
    """Whoever computes it notices within a second or so."""
    return row.move(State.CANCELLED, now=now, error=f"cancelled by {by}")


def look_after(row: Backtest, *, now: datetime) -> None:
    """What the page that waits does: ring again for what nobody took, and give up what was lost with its process."""
    if row.state == State.QUEUED and now - row.seen_at > WAITS:
        if Backtest.objects.filter(pk=row.pk, state=State.QUEUED, seen_at=row.seen_at).update(seen_at=now):
            ring("run_backtest", backtest_id=row.pk)
    elif row.state == State.RUNNING and now - row.seen_at > SILENT:
        row.move(State.FAILED, now=now, error="the process that computed it is gone; start it again")


def carry_out(backtest_id: int, *, compute: Callable[[int], str] | None = None) -> None:
    """Take a queued backtest, let a process of its own compute it, then ring for the next."""
    now = timezone.now()
    running = Backtest.objects.filter(state=State.RUNNING, seen_at__gt=now - SILENT).count()
    row = Backtest.objects.filter(pk=backtest_id, state=State.QUEUED).first()
    if row is None or running >= AT_ONCE or not row.move(State.RUNNING, now=now):
        return
    trouble = (compute or in_own_process)(row.pk)
    row.refresh_from_db()
    if row.live:
        row.move(State.FAILED, now=timezone.now(), error=trouble or "it ended without a result")
    waiting = Backtest.objects.filter(state=State.QUEUED).order_by("created_at").values_list("pk", flat=True).first()
    if waiting is not None:
        ring("run_backtest", backtest_id=waiting)


def in_own_process(backtest_id: int) -> str:
    """Compute it outside this process, at a low priority: evaluations share its interpreter lock with nobody.
    Returns what went wrong, for the row; empty when the process has told the row itself."""
    argv = [sys.executable, "-m", "django", "backtest", "--row", str(backtest_id)]
    path = os.pathsep.join(filter(None, sys.path))
    try:
        done = subprocess.run(
            argv, env=os.environ | {"PYTHONPATH": path}, capture_output=True, timeout=LONGEST_S, check=False
        )
    except subprocess.TimeoutExpired:
        return f"not done after {LONGEST_S / 60:.0f} min; choose a shorter range"
    except OSError as error:
        return f"its process could not be started ({type(error).__name__})"
    if done.returncode:
        log.warning(
            "backtest %s ended with %s: %s", backtest_id, done.returncode, done.stderr[-2000:].decode(errors="replace")
        )
    return f"its process ended with {done.returncode}" if done.returncode else ""


def work(backtest_id: int, *, client: Client | None = None) -> bool:
    """Compute a running backtest and write what it came to. False when it was cancelled, lost or went wrong."""
    row = Backtest.objects.select_related("rule__source", "rule__service", "playbook").filter(pk=backtest_id).first()
    if row is None or row.state != State.RUNNING:
        return False
    signs = Signs(row)
    plan = Plan(rule=row.as_rule(), start=row.start.timestamp(), end=row.end.timestamp(), playbook=row.playbook)
    try:
        result = run(plan, client=client, progress=signs.progress, cancelled=signs.stopped)
    except Cancelled:
        return False
    except HomeostatError as error:
        return not row.move(State.FAILED, now=timezone.now(), error=str(error))
    return row.move(State.DONE, now=timezone.now(), progress=1.0, result=result.as_json())


class Signs:
    """Writes signs of life, and learns whether to go on, from the row; at most every SIGN_EVERY_S."""

    def __init__(self, row: Backtest) -> None:
        self.row = row
        self.parent = os.getppid()
        self.share = 0.0
        self.next_at = 0.0
        self.is_stopped = False

    def progress(self, share: float) -> None:
        self.share = share

    def stopped(self) -> bool:
        if time.monotonic() >= self.next_at:
            self.next_at = time.monotonic() + SIGN_EVERY_S
            mine = Backtest.objects.filter(pk=self.row.pk, state=State.RUNNING)
            alive = mine.update(progress=self.share, seen_at=timezone.now())
            # The worker that waits for this process is gone: nobody would tell the row if this went wrong.
            self.is_stopped = not alive or os.getppid() != self.parent
        return self.is_stopped
