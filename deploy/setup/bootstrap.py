"""Find a Python that Homeostat runs on and hand the set-up to it.

    python3 deploy/setup/bootstrap.py --for run|demo|test|lint

This file alone must also be readable for older Pythons, so that those say what is wrong in plain words.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
OLDEST, NEWEST = (3, 11), (3, 13)
TOO_DIFFERENT = """\
Homeostat needs Python 3.11, 3.12 or 3.13; {python} is Python {version}, and none of those is on the PATH either.
Install one beside it, for example:  sudo apt-get install python3.12
then name it:                        make PYTHON=python3.12 demo"""


def suitable_python() -> str | None:
    """Return this interpreter if it fits, otherwise another one from the PATH."""
    if OLDEST <= sys.version_info[:2] <= NEWEST:
        return sys.executable
    names = [f"python{OLDEST[0]}.{minor}" for minor in range(NEWEST[1], OLDEST[1] - 1, -1)]
    return next((found for found in map(shutil.which, names) if found), None)


def main() -> None:
    """Become `python -m deploy.setup` with the same arguments."""
    python = suitable_python()
    if python is None:
        version = ".".join(map(str, sys.version_info[:3]))
        sys.exit(TOO_DIFFERENT.format(python=sys.executable, version=version))
    os.chdir(str(ROOT))
    os.execv(python, [python, "-m", "deploy.setup", *sys.argv[1:]])  # noqa: S606 - a program of our own choice


if __name__ == "__main__":
    main()
