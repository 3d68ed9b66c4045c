"""A small world the loop can run in without any server: samples that a test sets, and targets that keep a ledger.

It replaces only what is outside: the answer of Prometheus, the runtime of the targets, and the broker (doorbells are
queued here and answered in order by `World.run`). Everything between is the real code and a real database.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from django.contrib.auth.models import Group, User

from remediation import loop
from remediation.exceptions import EffectNotStarted, EffectUncertain, SourceFailed
from remediation.models import Incident, Playbook, Remediation, Rule, Service, Source, Step, Target
from remediation.observe.base import Question
from remediation.registry import Params
from remediation.series import Labels, Matrix
from remediation.targets.base import Attempt, Backend, Effect, Facts, Restartable, Scalable, TargetRef

START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


class LedgerBackend(Backend, Restartable, Scalable):
    """A fake runtime: it writes every effect down and does what the test says."""

    name = "ledger"
    label = "Ledger"
    Params = Params

    def __init__(self) -> None:
        self.effects: list[str] = []
        self.pids: dict[str, int] = {}
        self.sizes: dict[str, int] = {}
        self.keys: list[str] = []
        self.says = ""
        self.answer: Callable[[TargetRef], None] = lambda target: None

    def state(self, target: TargetRef, *, timeout_s: float = 5.0) -> Facts:
        return {"state": "RUNNING", "pid": self.pids.setdefault(target.name, 100)}

    def check(self, target: TargetRef, *, timeout_s: float = 5.0) -> None:
        return None

    def restart_text(self, target: TargetRef) -> str:
        return f"restart {target.name}"

    def restart(self, target: TargetRef, attempt: Attempt) -> Effect:
        self.answer(target)
        self.effects.append(target.name)
        self.keys.append(attempt.key)
        self.pids[target.name] = self.pids.get(target.name, 100) + 1
        return Effect(output=self.says or f"restarted, pid {self.pids[target.name]}")

    def limits(self, target: TargetRef) -> tuple[int, int]:
        return 1, 9

    def size(self, target: TargetRef, *, timeout_s: float = 5.0) -> int:
        return self.sizes.setdefault(target.name, 2)

    def resize_text(self, target: TargetRef, size: int) -> str:
        return f"scale {target.name} to {size}"

    def resize(self, target: TargetRef, size: int, attempt: Attempt) -> Effect:
        self.answer(target)
        self.effects.append(f"{target.name}={size}")
        self.keys.append(attempt.key)
        self.sizes[target.name] = size
        return Effect(output=f"{size} run")

    def refuse(self, target: TargetRef) -> None:
        raise EffectNotStarted("connection refused")

    def lose_answer(self, target: TargetRef) -> None:
        self.effects.append(target.name)
        self.pids[target.name] += 1
        raise EffectUncertain("the answer was lost")


@dataclass
class World:
    ledger: LedgerBackend
    now: datetime = START
    samples: dict[str, dict[str, float]] = field(default_factory=dict)
    down: str = ""
    had: dict[tuple[str, str, float], float] = field(default_factory=dict)
    """Every value that was given out: by query, target and time."""
    label: str = "target"
    """The label that names a series."""
    bells: deque[tuple[str, dict[str, int]]] = field(default_factory=deque)

    # --- what is outside ---

    def fetch(self, _client: Any, question: Question, *, now: float) -> Matrix:
        """In the place of observe.window.fetch: the value each target has now, by query."""
        if self.down:
            raise SourceFailed(self.down)
        values = self.samples.get(question.query, {})
        labels: tuple[Labels, ...] = tuple({self.label: name} for name in values)
        self.had |= {(question.query, name, now): value for name, value in values.items()}
        numbers = np.array([[value] for value in values.values()], dtype=float).reshape(len(values), 1)
        return Matrix(labels=labels, times=np.array([now]), values=numbers, now=now, reach_s=0.0)

    def ring(self, task: str, *, expires_s: float | None = None, on_queue: str | None = None, **ids: int) -> bool:
        self.bells.append((task, ids))
        return True

    def set(self, values: dict[str, float], *, query: str = "up") -> None:
        """The value of each target from now on."""
        self.samples[query] = dict(values)

    def vanish(self, query: str = "up") -> None:
        self.samples[query] = {}

    def nan(self, query: str = "up") -> None:
        self.samples[query] = dict.fromkeys(self.samples[query], math.nan)

    # --- the passing of time ---

    def answer_bells(self) -> None:
        """Do everything that was rung for, in order."""
        for _ in range(1000):
            if not self.bells:
                return
            task, ids = self.bells.popleft()
            self.do(task, ids)
        raise AssertionError(f"the bells never stop: {list(self.bells)[:3]}")

    def do(self, task: str, ids: dict[str, int]) -> None:
        function = {"reconcile": loop.reconcile, "advance": loop.advance, "act": loop.act}[task]
        function(*ids.values(), now=self.now)

    def tick(self, seconds: float = 1.0) -> None:
        """Time passes: every rule is evaluated, the sweep runs, all bells are answered."""
        self.now += timedelta(seconds=seconds)
        for rule in Rule.objects.all():
            loop.evaluate(rule.pk, now=self.now)
        loop.sweep(now=self.now)
        self.answer_bells()

    def sleep(self, seconds: float) -> None:
        """In the place of a worker's time.sleep: what happens meanwhile, happens."""
        self.now += timedelta(seconds=seconds)
        for rule in Rule.objects.all():
            loop.evaluate(rule.pk, now=self.now)
        loop.sweep(now=self.now)

    def ticks(self, count: int) -> None:
        for _ in range(count):
            self.tick()

    # --- what is stored ---

    def remediation(self) -> Remediation:
        return Remediation.objects.order_by("pk").last() or Remediation()

    def states(self) -> list[str]:
        return list(Remediation.objects.order_by("pk").values_list("state", flat=True))

    def incident(self) -> Incident:
        return Incident.objects.order_by("pk").last() or Incident()


def make_service(name: str = "web", *, targets: tuple[str, ...] = ("app-1", "app-2")) -> Service:
    service = Service.objects.create(name=name)
    for target in targets:
        Target.objects.create(
            service=service, name=target, backend="ledger", role="instance", labels={"target": target}
        )
    return service


def make_rule(service: Service | None, *, name: str = "AppDown", query: str = "up", **fields: Any) -> Rule:
    known = {"url": "http://127.0.0.1:1", "stale_after_s": 4}
    source, _ = Source.objects.get_or_create(name="prom", defaults=known)
    fields = {"interval_s": 1, "detector": "threshold", "params": {"op": "<", "value": 1}} | fields
    rule = Rule.objects.create(name=name, source=source, service=service, query=query, **fields)
    rule.keep_version(author="test", now=START)
    return rule


def make_playbook(*, autonomy: str = "auto", verbs: tuple[str, ...] = ("restart",), **step: Any) -> Playbook:
    playbook = Playbook.objects.create(name="Restart", matchers='alertname="AppDown"', autonomy=autonomy)
    step = {"cooldown_s": 0, "verify_within_s": 10, "good_samples": 3} | step
    for position, verb in enumerate(verbs, start=1):
        Step.objects.create(playbook=playbook, position=position, verb=verb, select='role="instance"', **step)
    playbook.keep_version(author="test", now=START)
    return playbook


def make_user(name: str, group: str) -> User:
    user = User.objects.create_user(name, password="long enough to pass")
    user.groups.add(Group.objects.get(name=group))
    return user
