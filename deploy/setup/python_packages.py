"""The virtual environment and the Python packages in it, each by its hash."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from deploy.setup import debian
from deploy.setup.steps import ROOT, SETUP, CommandFailed, SetupError, once, run, say

VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
# Prints where pip is, or "None", and fails where this environment's Python does not fit.
PROBE = """
import importlib.util, sys
assert (3, 11) <= sys.version_info < (3, 14)
print(importlib.util.find_spec("pip"))
"""
SYSTEM_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def environment() -> None:
    """Make `.venv` with pip in it, unless a working one is there."""
    if not works():
        say(f"virtual environment in .venv, Python {sys.version.split()[0]} ...")
        create()
    if not works(with_pip=True):
        add_pip()


def works(*, with_pip: bool = False) -> bool:
    """Tell whether `.venv` has a Python that fits; its interpreter may have been upgraded or removed."""
    try:
        answer = run([PYTHON, "-c", PROBE])
    except CommandFailed:
        return False
    return not with_pip or answer.strip() != "None"


def create() -> None:
    """Make an environment without pip: Debian's Python has `venv`, but the part with pip is another package."""
    run([sys.executable, "-m", "venv", "--clear", "--without-pip", VENV])


def add_pip() -> None:
    """Put pip into the environment: from the interpreter itself, or from Debian's wheel of it."""
    try:
        run([PYTHON, "-m", "ensurepip", "--upgrade", "--default-pip"])
    except CommandFailed:
        install_debian_pip()


def install_debian_pip() -> None:
    """Run pip out of Debian's wheel, which needs neither root nor an installed package, to install itself."""
    try:
        debian.unpack(["python3-pip-whl"])
        wheel = next((debian.ROOTFS / "usr/share/python-wheels").glob("pip-*.whl"))
        run([PYTHON, wheel / "pip", "install", "--no-index", "--no-deps", wheel], env=network_environment())
    except (CommandFailed, StopIteration) as error:
        raise SetupError(
            f"{error}\n\npip is missing, and it installs all Python packages. Get it with:\n"
            "    sudo apt-get install python3-venv"
        ) from error


def packages(name: str, label: str) -> None:
    """Install the pinned packages of `requirements<name>.txt`."""
    requirements = SETUP / f"requirements{name}.txt"
    once(
        label,
        stamp=VENV / f".requirements{name}.stamp",
        inputs=[requirements.read_bytes(), run([PYTHON, "-VV"]).encode()],
        do=lambda: install(requirements),
    )


def install(requirements: Path) -> None:
    """Install with uv, which takes seconds; pip stays for where uv cannot reach what pip is configured to reach."""
    try:
        run_pip(SETUP / "requirements-installer.txt")
        uv_install: list[str | Path] = [VENV / "bin" / "uv", "pip", "install", "--python", PYTHON]
        run([*uv_install, "--require-hashes", "-r", requirements], env=network_environment())
    except CommandFailed:
        say("  uv did not manage, trying pip")
        install_with_pip(requirements)


def install_with_pip(requirements: Path) -> None:
    """Install with pip; its error is the one to show."""
    try:
        run_pip(requirements)
    except CommandFailed as error:
        raise SetupError(
            f"{error}\n\nThe Python packages of {requirements.relative_to(ROOT)} could not be installed. "
            "Is the package index reachable from here? pip's own settings (mirror, proxy, certificate) are respected."
        ) from error


def run_pip(requirements: Path) -> None:
    """Let pip install one file of requirements."""
    run([PYTHON, "-m", "pip", "install", "--require-hashes", "-r", requirements], env=network_environment())


def network_environment() -> dict[str, str]:
    """Return the environment in which pip, uv and npm trust what this machine trusts.

    uv and Node.js bring certificates of their own and would not know a company's; the other way round a small
    container has none at all, and pip then takes those of Debian's package. What the person set stays.
    """
    env = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", **os.environ}
    if SYSTEM_CERTIFICATES.exists():
        env.setdefault("UV_SYSTEM_CERTS", "1")
        env.setdefault("NODE_EXTRA_CA_CERTS", str(SYSTEM_CERTIFICATES))
    elif bundle := debian.certificates():
        env.setdefault("PIP_CERT", str(bundle))
    return env
