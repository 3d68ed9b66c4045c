"""What ours is measured beside: the bare library's broadcast, and a Channels consumer per client on the channel layer.

Both get each change through the same Valkey, run on the event loop of our web process (uvloop), and compress nothing.
`python -m bench.live_peers PORT` is the bare library; `uvicorn bench.live_peers:application` the consumers.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

CHANNEL = "bench-live"
"""Of the bare library in Valkey, and the name of the group."""


async def bare(port: int) -> None:
    import redis.asyncio
    from websockets.asyncio.server import broadcast, serve

    everybody: set[Any] = set()

    async def stay(connection: Any) -> None:
        everybody.add(connection)
        try:
            await connection.wait_closed()
        finally:
            everybody.discard(connection)

    listening = redis.asyncio.Redis.from_url(os.environ["BENCH_REDIS_URL"]).pubsub()
    await listening.subscribe(CHANNEL)
    async with serve(stay, "127.0.0.1", port, compression=None):
        async for message in listening.listen():
            if message["type"] == "message":
                broadcast(everybody, message["data"].decode())


def _consumers() -> Any:
    from channels.generic.websocket import AsyncWebsocketConsumer
    from channels.routing import ProtocolTypeRouter
    from django.conf import settings

    hosts = [os.environ["BENCH_REDIS_URL"]]
    layer = {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": {"hosts": hosts}}
    if not settings.configured:
        settings.configure(CHANNEL_LAYERS={"default": layer}, SECRET_KEY="bench", DATABASES={})  # noqa: S106

    class Each(AsyncWebsocketConsumer):
        async def connect(self) -> None:
            await self.channel_layer.group_add(CHANNEL, self.channel_name)
            await self.accept()

        async def frame(self, event: dict[str, Any]) -> None:
            await self.send(text_data=event["text"])

    return ProtocolTypeRouter({"websocket": Each.as_asgi()})


def __getattr__(name: str) -> Any:
    if name == "application":  # made on use: the bare library needs none of it
        return _consumers()
    raise AttributeError(name)


if __name__ == "__main__":
    import uvloop

    asyncio.set_event_loop_policy(None)
    uvloop.run(bare(int(sys.argv[1])))
