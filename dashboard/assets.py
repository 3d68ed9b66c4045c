"""Our own and the libraries' files: named by what they hold, so that browsers keep them for ever, and sent compressed.

All of them lie below one folder of the site whose name is a digest. Files that name each other (JavaScript modules,
the sheet of icons) do so by their plain names and still change their address together.
"""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any
from wsgiref.headers import Headers

from django.conf import settings
from servestatic.middleware import ServeStaticMiddleware  # type: ignore[import-untyped]  # it brings no types
from servestatic.responders import StaticFile  # type: ignore[import-untyped]

PACKED = frozenset({".css", ".js", ".mjs", ".svg", ".json", ".map", ".txt", ".html"})
WORTH_IT = 512
"""Smaller files gain nothing from being compressed."""


class Assets(ServeStaticMiddleware):  # type: ignore[misc]
    """ServeStatic with the two differences that follow from the digest in the address."""

    def immutable_file_test(self, path: str, url: str) -> bool:
        return bool(url.startswith(self.static_prefix))

    def get_static_file(self, path: str, url: str, stat_cache: Any = None) -> StaticFile:
        headers = Headers([])
        self.add_mime_headers(headers, path, url)
        self.add_cache_headers(headers, path, url)
        packed = _packed(Path(path), url.removeprefix("/"))
        return StaticFile(path, headers.items(), encodings={"gzip": str(packed)} if packed else None)


def _packed(path: Path, name: str) -> Path | None:
    """The compressed copy below the home, made at the first start; None where there is none, or no place for one."""
    if path.suffix not in PACKED or path.stat().st_size < WORTH_IT:
        return None
    found = Path(settings.STATIC_ROOT) / f"{name}.gz"  # the name has the digest in it, so the copy is never stale
    try:
        if not found.exists():
            found.parent.mkdir(parents=True, exist_ok=True)
            # Whole or not at all: another process may start at the same time.
            fresh = found.with_suffix(f".{os.getpid()}")
            fresh.write_bytes(gzip.compress(path.read_bytes(), 9, mtime=0))
            fresh.replace(found)
    except OSError:
        return None
    return found
