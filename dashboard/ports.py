"""Ports of this machine: which are free, and who has the one that is not."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path


def free_port(host: str = "127.0.0.1") -> int:
    """A port nobody listens on now. Another process may take it before its use: for tests and the demo."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def port_in_use(host: str, port: int) -> str | None:
    """Why a server cannot listen on this address, in plain words, or None when it can."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, proto) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: no wait for old connections
            probe.bind(address)
            probe.listen(1)
    except PermissionError:
        return f"port {port} on {host} needs more rights than this user has"
    except OSError as error:
        holder = _holder_of(port)
        if holder is None and error.errno is not None and "in use" not in str(error):
            return f"port {port} on {host} cannot be used: {error.strerror}"
        return f"port {port} on {host} is in use by {holder or 'a process this user cannot see'}"
    return None


def _holder_of(port: int) -> str | None:
    """ "pid 12 (nginx -g ...)" for the process that listens on `port`, where /proc shows it."""
    wanted = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended, or is someone else's
            if any(_link(handle) in wanted for handle in (entry / "fd").iterdir()):
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                return f"pid {entry.name} ({command[:100]})"
    return None


def _link(handle: Path) -> str:
    try:
        return str(handle.readlink())
    except OSError:
        return ""


def _listening_inodes(port: int) -> Iterator[str]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for row in Path(table).read_text().splitlines()[1:]:
                columns = row.split()
                if columns[3] == "0A" and int(columns[1].rpartition(":")[2], 16) == port:  # 0A: listening
                    yield columns[9]
