"""Chromium, for the browser tests and the screenshots."""

from __future__ import annotations

import os
from pathlib import Path

from deploy.setup import debian
from deploy.setup.python_packages import PYTHON, VENV
from deploy.setup.steps import ROOT, SETUP, TOOLS, CommandFailed, SetupError, once, run, say
from deploy.tools import ToolMissing, find

# Fonts come out of the unpacked packages too; the paths are relative to this file.
FONTS_FILE = TOOLS / "fonts.conf"
FONTS = """\
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir prefix="relative">root/usr/share/fonts</dir>
  <dir>/usr/share/fonts</dir>
  <cachedir prefix="xdg">fontconfig</cachedir>
</fontconfig>
"""
USE_FONTS = ('FONTCONFIG_FILE="$here/../fonts.conf"', "export FONTCONFIG_FILE")
NO_DRIVER = """\
{error}

Playwright, which drives the browser in the tests, does not start here. On Debian and Ubuntu:
    sudo apt-get install libatomic1"""
MISSING = """\
{error}

Chromium could not be set up here: the browser tests and the screenshots need it, everything else runs without it.
On Debian:                       sudo apt-get install chromium
On Ubuntu, where it is a snap:   sudo {python} -m playwright install-deps chromium   and then this command again
Or name your own browser:        HOMEOSTAT_CHROMIUM_BIN=/where/chromium/is"""


def install() -> None:
    """Bring Chromium unless one that starts is here, and what Playwright needs to drive it."""
    # One part goes into `.tools`, the other into `.venv`: again when either was made anew.
    environment = str((VENV / "pyvenv.cfg").stat().st_mtime_ns).encode()
    requirements = (SETUP / "requirements-dev.txt").read_bytes()
    once("browser driver", stamp=TOOLS / "driver.stamp", inputs=[requirements, environment], do=install_driver)
    if works():
        return
    say("chromium ...")
    try:
        unpack()
    except CommandFailed:
        download()


def install_driver() -> None:
    """Let Playwright's own Node.js start: it needs a library that a small Debian lacks (libatomic1)."""
    try:
        run([PYTHON, "-m", "playwright", "--version"])
    except CommandFailed:
        unpack_driver()


def unpack_driver() -> None:
    """Unpack the library, and name the wrapper that uses it wherever this environment's Python starts."""
    try:
        debian.unpack(["libatomic1"])
        package = run([PYTHON, "-c", "import playwright; print(playwright.__path__[0])"]).strip()
        wrapped = debian.wrapper("playwright-node", os.path.relpath(f"{package}/driver/node", debian.ROOTFS))
        line = f"import os; os.environ.setdefault('PLAYWRIGHT_NODEJS_PATH', {str(wrapped)!r})\n"
        (Path(package).parent / "homeostat-playwright.pth").write_text(line)
        run([PYTHON, "-m", "playwright", "--version"])
    except CommandFailed as error:
        raise SetupError(NO_DRIVER.format(error=error)) from error


def works() -> bool:
    """Tell whether there is a browser that starts: on Ubuntu the program can be a stub that only names the snap."""
    try:
        run([find("chromium"), "--version"], timeout=60)
    except (ToolMissing, CommandFailed):
        return False
    return True


def unpack() -> None:
    """Use Debian's package."""
    debian.unpack(["chromium"])
    FONTS_FILE.write_text(FONTS)
    check(debian.wrapper("chromium", "usr/lib/chromium/chromium", before=USE_FONTS))


def check(wrapped: Path) -> None:
    """Keep the wrapper only if the browser behind it starts."""
    try:
        run([wrapped, "--version"], timeout=60)
    except CommandFailed:
        wrapped.unlink(missing_ok=True)
        raise


def download() -> None:
    """Use Playwright's build, where the distribution has no package (Ubuntu)."""
    folder = TOOLS / "playwright"
    try:
        run(
            [PYTHON, "-m", "playwright", "install", "chromium"],
            env={**os.environ, "PLAYWRIGHT_BROWSERS_PATH": str(folder)},
            timeout=600,
        )
        program = next((path for path in sorted(folder.glob("chromium-*/chrome-linux*/chrome"))), None)
        if program is None:
            raise CommandFailed("playwright installed no Chromium")
        check(debian.script("chromium", ["#!/bin/sh", f'exec "$(dirname "$0")/../{program.relative_to(TOOLS)}" "$@"']))
    except CommandFailed as error:
        raise SetupError(MISSING.format(error=error, python=PYTHON.relative_to(ROOT))) from error
