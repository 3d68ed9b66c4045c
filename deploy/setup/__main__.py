"""`python -m deploy.setup --for JOB`: what each job needs, in order."""

from __future__ import annotations

import argparse
import fcntl
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from deploy.setup import browser, node_packages, python_packages, servers
from deploy.setup.steps import LOG, ROOT, TOOLS, CommandFailed, SetupError, say

JOBS = {
    "run": "Homeostat over your own Prometheus",
    "demo": "Homeostat with the demo shop and its servers",
    "test": "everything the tests run, with a browser",
    "lint": "the linter and the type checker",
}


def main() -> None:
    """Set up for one job, or say in plain words what stands in the way."""
    parser = argparse.ArgumentParser(prog="bootstrap.py", description=__doc__)
    parser.add_argument(
        "--for", dest="job", required=True, choices=JOBS, help="; ".join(f"{job}: {text}" for job, text in JOBS.items())
    )
    job = parser.parse_args().job
    started = time.monotonic()
    try:
        with alone():
            set_up(job)
    except (SetupError, CommandFailed) as error:
        sys.exit(f"\n{error}\n\nMore is in {LOG.relative_to(ROOT)}; running the same command again goes on from here.")
    except KeyboardInterrupt:
        sys.exit("\nset-up interrupted; running the same command again goes on from here")
    if (seconds := time.monotonic() - started) > 1:
        say(f"ready after {seconds:.0f} s")


def set_up(job: str) -> None:
    """Run the steps of one job."""
    python_packages.environment()
    if job in ("test", "lint"):
        python_packages.packages("-dev", "Python packages, with those for the tests")
    else:
        python_packages.packages("", "Python packages")
    if job == "lint":
        return
    node_packages.install()
    if job in ("demo", "test"):
        servers.install()
    if job == "test":
        install_browser()


def install_browser() -> None:
    """Go on without a browser: only its own tests need it, and they say so."""
    try:
        browser.install()
    except SetupError as error:
        print(f"\n{error}\n", file=sys.stderr, flush=True)


@contextmanager
def alone() -> Iterator[None]:
    """Keep a second set-up in the same folder waiting; the lock ends with this process, however it ends."""
    TOOLS.mkdir(exist_ok=True)
    with (TOOLS / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another set-up in this folder")
            fcntl.flock(lock, fcntl.LOCK_EX)
        LOG.write_text("")
        yield


if __name__ == "__main__":
    main()
