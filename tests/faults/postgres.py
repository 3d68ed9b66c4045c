"""A PostgreSQL cluster of our own on a unix socket and a TCP port of loopback, thrown away afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from pathlib import Path

from dashboard.ports import free_port


class Postgres:
    """Started, killed and started again with `pg_ctl`; not as root, which PostgreSQL refuses: as user postgres then."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.programs = programs
        self.port = free_port()
        self.folder = folder / "pg"
        self.folder.mkdir()
        self.user = "postgres" if os.getuid() == 0 else None
        if self.user:
            os.chown(self.folder, pwd.getpwnam(self.user).pw_uid, -1)
            for parent in (folder, *folder.parents):
                if parent.stat().st_uid == 0 and parent != Path("/"):
                    parent.chmod(parent.stat().st_mode | 0o011)
                if parent.name == "tmp":
                    break

    @property
    def url(self) -> str:
        return f"postgres://homeostat@127.0.0.1:{self.port}/homeostat"

    def create(self) -> None:
        self._run("initdb", "-D", str(self.data), "-U", "homeostat", "-A", "trust", "-E", "UTF8", "--no-locale", "-N")
        self.start()
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "homeostat", "homeostat")

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=200"
        self._run("pg_ctl", "-D", str(self.data), "-w", "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self, *, mode: str = "immediate") -> None:
        """immediate: as a crash; every transaction that is open is lost."""
        self._run("pg_ctl", "-D", str(self.data), "-w", "-m", mode, "stop")

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self.programs / program), *arguments],
            user=self.user,
            cwd=self.folder,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=60,
        )


def programs() -> Path | None:
    """Where initdb and the others are: the newest that the distribution brought. None without."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda one: int(one.parts[-3]))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else (Path(on_path).parent if on_path else None)
