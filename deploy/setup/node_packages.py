"""The front-end packages, by npm; Django serves them from `deploy/setup/frontend/node_modules`."""

from __future__ import annotations

import os
import shutil

from deploy.setup.python_packages import VENV, network_environment, packages
from deploy.setup.steps import ROOT, SETUP, CommandFailed, SetupError, once, run

FRONTEND = SETUP / "frontend"


def install() -> None:
    """Install exactly what the lock file names."""
    once(
        "front-end packages",
        stamp=FRONTEND / "node_modules" / ".stamp",
        inputs=[(FRONTEND / name).read_bytes() for name in ("package.json", "package-lock.json", ".npmrc")],
        do=install_with_any_npm,
    )


def install_with_any_npm() -> None:
    """Use the machine's npm, or one from PyPI where there is none or it is too old or broken."""
    try:
        npm_ci(shutil.which("npm") or "npm")
    except CommandFailed:
        packages("-node", "Node.js, for there is no npm here that works")
        install_with_own_npm()


def install_with_own_npm() -> None:
    """Use the npm in the virtual environment; its error is the one to show."""
    try:
        npm_ci(str(VENV / "bin" / "npm"))
    except CommandFailed as error:
        raise SetupError(
            f"{error}\n\nThe front-end packages (charts) could not be installed. "
            f"To see more: cd {FRONTEND.relative_to(ROOT)} && npm ci"
        ) from error


def npm_ci(npm: str) -> None:
    """Run `npm ci`; npm looks for `node` on the PATH."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), str(VENV / "bin")])
    run([npm, "ci"], cwd=FRONTEND, env={**network_environment(), "PATH": path})
