"""The websocket at /ws/live/: who may connect, and what a browser may say."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings

from dashboard.language import of_scope
from dashboard.live.fragments import KEY_LENGTH, KEYS_AT_ONCE
from dashboard.live.hub import hub
from dashboard.live.shown import known_language
from dashboard.live.socket import Socket
from dashboard.live.wire import EXTENSION, AsgiWire, Wire

PATH = "/ws/live/"
MESSAGE_LENGTH = 200_000
GOODBYE_S = 5.0


class LiveConsumer(AsyncWebsocketConsumer):
    """Takes two kinds of messages: the keys a page shows, and a pong. Everything else is a POST elsewhere."""

    # No layer of its own: each would be one more subscription, and a broker that is away would refuse the browser.
    channel_layer_alias = "none"
    socket: Socket | None = None

    async def connect(self) -> None:
        """Refused before the handshake unless it comes from one of our own pages and from somebody signed in.

        Origins are explicit: host validation lets a wildcard pass, and with it the origin `null`.
        """
        if self.scope["path"] != PATH or _origin(self.scope) not in settings.HOMEOSTAT_ORIGINS:
            await self.close(code=4403)
            return
        user = self.scope.get("user")
        if user is None or not user.is_authenticated:
            await self.close(code=4401)
            return
        await self.accept()
        hub.start()
        session = self.scope["session"].session_key or ""
        extensions: dict[str, Any] = self.scope.get("extensions") or {}
        wire: Wire = extensions.get(EXTENSION) or AsgiWire(self._write)
        self.socket = Socket(wire, self._hang_up, session=session, user_id=user.pk)
        hub.sockets.add(self.socket)

    async def dispatch(self, message: Any) -> None:
        """As Channels does it, without its thread hop to look after connections: nothing here has one of its own."""
        await getattr(self, message["type"].replace(".", "_"))(message)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if self.socket is None or text_data is None or len(text_data) > MESSAGE_LENGTH:
            return
        self.socket.heard()
        shown = _shown(text_data)
        if shown is not None:
            await hub.join(self.socket, shown.language or of_scope(self.scope), shown.keys)

    async def disconnect(self, code: int) -> None:
        if self.socket is not None:
            hub.leave(self.socket)
            self.socket.end()
            self.socket = None

    async def _write(self, frame: str) -> None:
        await self.send(text_data=frame)

    def _hang_up(self, code: int) -> None:
        socket, self.socket = self.socket, None
        if socket is not None:
            hub.leave(socket)
            self._goodbye = asyncio.create_task(self._say_goodbye(socket, code), name="live-goodbye")

    async def _say_goodbye(self, socket: Socket, code: int) -> None:
        with suppress(RuntimeError, TimeoutError, OSError):  # closed already, or its peer does not read
            await asyncio.wait_for(self.close(code=code), GOODBYE_S)
        socket.end()


@dataclass(frozen=True, kw_only=True)
class Page:
    """What a page says it shows: keys and their versions, and the language it is in ("" when it says none)."""

    keys: dict[str, str]
    language: str


def _origin(scope: Any) -> str:
    found = [value.decode("latin-1") for name, value in scope.get("headers", []) if name == b"origin"]
    return found[0] if len(found) == 1 else ""


def _shown(text: str) -> Page | None:
    """`{"shows": {key: version, ...}, "language": "en"}`; None for anything else."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return None
    shows = message.get("shows") if isinstance(message, dict) else None
    if not isinstance(shows, dict):
        return None
    items = [(key, value) for key, value in shows.items() if len(key) <= KEY_LENGTH and isinstance(value, str)]
    return Page(keys=dict(items[:KEYS_AT_ONCE]), language=known_language(message.get("language")))
