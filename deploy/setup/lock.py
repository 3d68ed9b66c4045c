"""Pin and hash the Python packages, and lock the front-end ones: `make lock`.

The files hold no address: where to download from is each machine's own choice.
"""

from __future__ import annotations

from deploy.setup.node_packages import FRONTEND
from deploy.setup.python_packages import VENV
from deploy.setup.steps import SETUP, run, say

# The development list takes its pins from the first file, so that order matters.
NAMES = ("requirements", "requirements-dev", "requirements-installer", "requirements-node")
OPTIONS = ("--universal", "--generate-hashes", "--python-version=3.11", "--no-emit-index-url", "--no-emit-find-links")


def main() -> None:
    """Write every lock file anew with the newest versions that the lists allow."""
    for name in NAMES:
        say(f"{name}.txt ...")
        run(
            [
                VENV / "bin" / "uv",
                *("pip", "compile", "--quiet", "--upgrade", *OPTIONS),
                *("--custom-compile-command=make lock", f"{name}.in", f"--output-file={name}.txt"),
            ],
            cwd=SETUP,
        )
    say("package-lock.json ...")
    run(["npm", "update", "--package-lock-only"], cwd=FRONTEND)


if __name__ == "__main__":
    main()
