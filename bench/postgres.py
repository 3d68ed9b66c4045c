"""A PostgreSQL of our own for one benchmark: in a temporary folder, on loopback, gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dashboard.ports import free_port


def programs() -> Path | None:
    """Where initdb and pg_ctl are; None where PostgreSQL is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    plain = shutil.which("initdb")
    return found[-1].parent if found else Path(plain).parent if plain else None


@contextmanager
def running() -> Iterator[str]:
    """The URL of an empty database. It refuses to run as root, so there it runs as the user postgres."""
    bin_ = programs()
    assert bin_ is not None, "PostgreSQL is not installed"
    home = Path(tempfile.mkdtemp(prefix="hs-pg-"))
    user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    if os.geteuid() == 0:
        shutil.chown(home, user=user)
    port = free_port()
    options = f"-p {port} -k {home} -c listen_addresses=127.0.0.1"
    control = [str(bin_ / "pg_ctl"), "-D", str(home / "data"), "-w"]
    _run([str(bin_ / "initdb"), "-D", str(home / "data"), "-A", "trust", "-U", user], user)
    try:
        _run([*control, "-l", str(home / "log"), "-o", options, "start"], user)
        yield f"postgres://{user}@127.0.0.1:{port}/postgres"
    finally:
        _run([*control, "-m", "immediate", "stop"], user)
        shutil.rmtree(home, ignore_errors=True)


def _run(argv: list[str], user: str) -> None:
    """As that user, from a folder that every user may be in. Raises CalledProcessError."""
    as_user = user if os.geteuid() == 0 else None
    group = pwd.getpwnam(user).pw_gid if as_user else None
    nothing = subprocess.DEVNULL
    subprocess.run(argv, check=True, stdout=nothing, stderr=nothing, cwd="/", user=as_user, group=group)
