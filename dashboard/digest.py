"""What the served files hold, in twelve figures: a part of their address, so that browsers may keep them for ever."""

from __future__ import annotations

import hashlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

OWN = Path(__file__).parent / "static"
LIBRARIES = ("django", "django-unfold", "django-htmx")
"""The packages whose files are served as well; another version of one is another digest."""


def digest(*more: Path) -> str:
    """Names the content of all files that are served. more: files that stand for what else is served."""
    found = hashlib.sha256()
    for path in [*sorted(OWN.rglob("*")), *more]:
        if path.is_file():
            found.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    for name in LIBRARIES:
        try:
            found.update(f"{name} {version(name)}\n".encode())
        except PackageNotFoundError:
            continue
    return found.hexdigest()[:12]
