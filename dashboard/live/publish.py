"""Announces committed changes to the browsers' hubs: one tiny notice each, from whatever process they happen in.

The caller only puts the notice into a queue. A thread of its own talks to the broker, so that a broker that is slow or
away costs the loop nothing; what is lost meanwhile, the hubs find by looking at the rows every few seconds.
"""

from __future__ import annotations

import asyncio
import logging
import os
import queue
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

from channels.layers import get_channel_layer

from remediation.models import Transition
from remediation.signals import edited, evaluated, transitioned

log = logging.getLogger(__name__)

GROUP = "homeostat.live"
SEND_WITHIN_S = 2.0
WAITING_AT_MOST = 1000
"""Notices that wait for a broker. Beyond this they are dropped: hubs look at the rows anyway."""

Notice = dict[str, Any]
ORIGIN = uuid.uuid4().hex
"""Of this process: its own hub hears it directly and leaves out the echo."""

listeners: list[Callable[[Notice], None]] = []
"""The hub of this process, when it has one. Called from any thread; never blocks."""


def connect() -> None:
    transitioned.connect(_on_transition, dispatch_uid="dashboard.live.transitioned")
    evaluated.connect(_on_evaluated, dispatch_uid="dashboard.live.evaluated")
    edited.connect(_on_edited, dispatch_uid="dashboard.live.edited")


def announce(kind: str, pk: int, *, incident: int | None = None, service: int | None = None) -> None:
    """Tell every hub that this row is no longer what it was. Never raises, never waits."""
    notice = {"kind": kind, "id": pk, "incident": incident, "service": service, "origin": ORIGIN}
    for listener in list(listeners):
        listener(notice)
    _sender.put(notice)


def _on_transition(sender: object, *, transition: Transition, **_: object) -> None:
    try:
        incident = transition.incident
        announce(
            transition.kind,
            transition.object_id,
            incident=transition.incident_id,
            service=incident.service_id if incident else None,
        )
    except Exception:
        log.exception("a change could not be announced; the browsers find it within seconds")


def _on_evaluated(sender: object, *, rule_id: int, changed: bool, **_: object) -> None:
    if changed:
        announce("rule", rule_id)


def _on_edited(sender: object, **_: object) -> None:
    announce("catalogue", 0)


class Sender:
    """A thread with its own event loop and its own connection to the broker."""

    def __init__(self) -> None:
        self._queue: queue.Queue[Notice] = queue.Queue(WAITING_AT_MOST)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._pid = 0
        self._silent_until = 0.0

    def put(self, notice: Notice) -> None:
        self._ensure_thread()
        try:
            self._queue.put_nowait(notice)
        except queue.Full:
            self._say("the broker is too slow")

    def _ensure_thread(self) -> None:
        """Started at the first notice, and again after a fork, which takes no threads along."""
        if self._thread is not None and self._pid == os.getpid():
            return
        with self._lock:
            if self._thread is None or self._pid != os.getpid():
                self._pid, self._queue = os.getpid(), queue.Queue(WAITING_AT_MOST)
                self._thread = threading.Thread(target=self._run, name="live-publish", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        with asyncio.Runner() as runner:
            while True:
                notice = self._queue.get()
                try:
                    runner.run(asyncio.wait_for(self._send(notice), SEND_WITHIN_S))
                except Exception as error:  # noqa: BLE001 - whatever the broker's client raises, nothing here is owed to anyone
                    self._say(f"the broker is away ({type(error).__name__})")

    async def _send(self, notice: Notice) -> None:
        layer = get_channel_layer()
        if layer is not None:
            await layer.group_send(GROUP, {"type": "notice", **notice})

    def _say(self, what: str) -> None:
        """Once a minute is enough."""
        if time.monotonic() > self._silent_until:
            self._silent_until = time.monotonic() + 60
            log.warning("%s; pages in other processes update by looking every few seconds", what)


_sender = Sender()
