"""Where the real servers and the browser are, for the demo, the tests and the benchmarks."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

TOOLS_DIR = Path(__file__).resolve().parent.parent / ".tools"

# Names other than its own under which a distribution installs a program.
OTHER_NAMES = {
    "alertmanager": ("prometheus-alertmanager",),
    "chromium": ("chromium-browser", "google-chrome-stable", "google-chrome"),
}

# HAProxy lives here, and the PATH of an ordinary Debian user does not contain it.
ADMIN_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")


class ToolMissing(Exception):
    """A program is not on this machine. The message says how to get it."""


def find(name: str) -> Path:
    """Return the executable of `name`: prometheus, promtool, alertmanager, haproxy or chromium.

    The person's own choice (HOMEOSTAT_<NAME>_BIN) wins over what set-up unpacked into `.tools/bin`, and that
    over the PATH. Raises `ToolMissing`.
    """
    variable = f"HOMEOSTAT_{name.upper()}_BIN"
    chosen = os.environ.get(variable)
    if chosen:
        if found := shutil.which(chosen):
            return Path(found)
        raise ToolMissing(f"{variable} names {chosen!r}, which is not a program that can be run.")
    unpacked = TOOLS_DIR / "bin" / name
    if os.access(unpacked, os.X_OK):
        return unpacked
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *ADMIN_FOLDERS])
    for candidate in (name, *OTHER_NAMES.get(name, ())):
        if found := shutil.which(candidate, path=path):
            return Path(found)
    raise ToolMissing(
        f"{name} is not on this machine. `python3 deploy/setup/bootstrap.py --for test` brings it "
        f"(`make demo` and `make test` do this by themselves), or set {variable} to one of your own."
    )
