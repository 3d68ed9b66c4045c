"""How a set-up step runs: once per state of its inputs, with one line on the screen and the rest in a log."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SETUP = ROOT / "deploy" / "setup"
TOOLS = ROOT / ".tools"
LOG = TOOLS / "setup.log"
SHOWN_LINES = 15  # of a failed command's output; the log holds all of it


class SetupError(Exception):
    """Something cannot be set up. The message says what, what it is for, and what to type."""


class CommandFailed(Exception):
    """A command ended with an error; the message holds the end of what it printed."""


def say(line: str) -> None:
    """Print one line at once, also when the output goes to a file."""
    print(f"set-up: {line}", flush=True)


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 1800,
) -> str:
    """Run a command, keep what it printed in the log, and return its standard output.

    Raises `CommandFailed`, also when the program does not exist or takes too long.
    """
    argv = [str(part) for part in command]
    try:
        done = subprocess.run(
            argv,
            cwd=cwd,
            env=env,
            timeout=timeout,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CommandFailed(str(error)) from error
    with LOG.open("a", encoding="utf-8") as log:
        log.write(f"$ {' '.join(argv)}\n{done.stdout}{done.stderr}\n")
    if done.returncode:
        last = (done.stdout + done.stderr).splitlines()[-SHOWN_LINES:]
        raise CommandFailed("\n".join([f"{argv[0]} ended with {done.returncode}:", *last]))
    return done.stdout


def once(label: str, *, stamp: Path, inputs: Iterable[bytes], do: Callable[[], None]) -> None:
    """Do a step unless `stamp` says that it was finished with the same inputs.

    The stamp goes away first and comes back last, so that an interrupted step is done again.
    """
    digest = hashlib.sha256(b"\0".join(inputs)).hexdigest()
    if stamp.is_file() and stamp.read_text() == digest:
        return
    stamp.unlink(missing_ok=True)
    say(f"{label} ...")
    do()
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(digest)
