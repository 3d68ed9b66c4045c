"""Debian and Ubuntu packages unpacked into `.tools/root`: no root needed, no service started, nothing installed."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from deploy.setup.steps import TOOLS, CommandFailed, run

ROOTFS = TOOLS / "root"
APT = TOOLS / "apt"
ARCHIVES = APT / "archives"

# `apt-get install --simulate` prints: Inst NAME [INSTALLED-VERSION] (VERSION ORIGIN... [ARCHITECTURE])
PLANNED = re.compile(r"^Inst (\S+) (?:\[\S+\] )?\((\S+) ", re.MULTILINE)

# The system's own C library has to stay with the loader it belongs to.
# The others are half a gigabyte that nothing here opens: pages of Prometheus's own, graphics hardware, icons.
NEVER = re.compile(r"libc6|libc-bin|libjs-.*|libllvm.*|libgl1-mesa-dri|adwaita-icon-theme")

SETTINGS = """\
APT::Sandbox::User "root";
Debug::NoLocking "true";
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
Dir::Cache "{apt}/cache";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
"""
OWN_LISTS = 'Dir::State::lists "{apt}/lists";\n'


def unpack(packages: Sequence[str]) -> None:
    """Download packages with whatever they need that is not installed, and unpack them all.

    The system's package lists may be missing (a container) or name versions that are gone: then our own are
    fetched, which apt allows to everyone. Raises `CommandFailed`.
    """
    shutil.rmtree(ARCHIVES, ignore_errors=True)  # an interrupted download may have left half a package
    try:
        download(packages, settings("system.conf", SETTINGS))
    except CommandFailed:
        own = settings("own.conf", SETTINGS + OWN_LISTS)
        run(["apt-get", "-c", own, "update"])
        download(packages, own)
    for archive in sorted(ARCHIVES.glob("*.deb")):
        run(["dpkg-deb", "--extract", archive, ROOTFS])
        archive.unlink()


def settings(name: str, text: str) -> Path:
    """Write a configuration for apt that keeps what it stores in this folder."""
    for folder in (ARCHIVES, APT / "cache" / "archives" / "partial", APT / "lists" / "partial", ROOTFS):
        folder.mkdir(parents=True, exist_ok=True)
    file = APT / name
    file.write_text(text.format(apt=APT))
    return file


def download(packages: Sequence[str], config: Path) -> None:
    """Fetch what is missing into `ARCHIVES`; apt checks the signatures.

    With `--reinstall` the packages themselves come also where they are installed, but not their programs.
    """
    plan = run(["apt-get", "-c", config, "install", "--simulate", "--reinstall", "--no-install-recommends", *packages])
    wanted = [f"{name}={version}" for name, version in PLANNED.findall(plan) if not NEVER.fullmatch(name)]
    run(["apt-get", "-c", config, "download", *wanted], cwd=ARCHIVES)


def library_folders() -> list[str]:
    """Return the folders with shared libraries among what was unpacked, relative to `ROOTFS`."""
    bases = [*sorted(ROOTFS.glob("lib/*-linux-gnu*")), *sorted(ROOTFS.glob("usr/lib/*-linux-gnu*"))]
    # Some libraries are opened by name at run time out of a folder of their own.
    candidates = [*bases, *(base / name for base in bases for name in ("nss", "pulseaudio"))]
    return [str(folder.relative_to(ROOTFS)) for folder in candidates if any(folder.glob("*.so*"))]


def certificates() -> Path | None:
    """Join the certificates of the unpacked `ca-certificates`, as its installation script would."""
    single = sorted((ROOTFS / "usr/share/ca-certificates").rglob("*.crt"))
    if not single:
        return None
    bundle = TOOLS / "ca-certificates.crt"
    bundle.write_bytes(b"".join(file.read_bytes() for file in single))
    return bundle


def wrapper(name: str, program: str, *, before: Iterable[str] = ()) -> Path:
    """Write `.tools/bin/<name>`, which runs an unpacked program with the libraries unpacked beside it.

    It finds its place by itself, so that the folder can be moved, and ends in `exec`, so that whoever started it
    knows the program's own process id.
    """
    folders = ":".join(f"$root/{folder}" for folder in library_folders())
    lines = [
        "#!/bin/sh",
        'here=$(dirname "$(readlink -f "$0")")',
        'root="$here/../root"',
        f'LD_LIBRARY_PATH="{folders}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}"',
        "export LD_LIBRARY_PATH",
        *before,
        f'exec "$root/{program}" "$@"',
    ]
    return script(name, lines)


def script(name: str, lines: Iterable[str]) -> Path:
    """Put an executable script into `.tools/bin`, whole or not at all."""
    target = TOOLS / "bin" / name
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{name}")
    draft.write_text("\n".join(lines) + "\n")
    draft.chmod(0o755)
    draft.replace(target)
    return target
