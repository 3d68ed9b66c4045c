"""Which process listens where, as far as /proc shows it to this user."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

LISTENING = " 0A "  # the state column of /proc/net/tcp
ACCEPTS = 0x10000  # the flag of a listening socket in /proc/net/unix


def listens_on(pid: int, ports: set[int], paths: set[str]) -> bool:
    """Whether `pid` holds a listening socket at one of these TCP ports or unix paths. False where /proc is closed."""
    wanted = {f"socket:[{inode}]" for inode in (*_tcp(ports), *_unix(paths))}
    with suppress(OSError):
        for handle in Path(f"/proc/{pid}/fd").iterdir() if wanted else ():
            with suppress(OSError):  # closed meanwhile
                if str(handle.readlink()) in wanted:
                    return True
    return False


def _tcp(ports: set[int]) -> Iterator[str]:
    if not ports:
        return
    for line in _lines("/proc/net/tcp") + _lines("/proc/net/tcp6"):
        if LISTENING in line:  # before it is taken apart: a busy machine has ten thousand others
            row = line.split()
            if row[3] == LISTENING.strip() and int(row[1].rpartition(":")[2], 16) in ports:
                yield row[9]


def _unix(paths: set[str]) -> Iterator[str]:
    for line in _lines("/proc/net/unix") if paths else ():
        row = line.split(maxsplit=7)
        if len(row) == 8 and int(row[3], 16) & ACCEPTS and row[7] in paths:
            yield row[6]


def _lines(table: str) -> list[str]:
    with suppress(OSError):
        return Path(table).read_text(errors="replace").splitlines()[1:]
    return []
