"""Places where a test may kill this process: with `HOMEOSTAT_FAILPOINT=name` it dies there, as if by SIGKILL."""

import os
import signal
from pathlib import Path


def failpoint(name: str) -> None:
    """Die here when told to. `HOMEOSTAT_FAILPOINT_ONCE` names a file that is removed first: the next try lives."""
    if os.environ.get("HOMEOSTAT_FAILPOINT") != name:
        return
    once = os.environ.get("HOMEOSTAT_FAILPOINT_ONCE")
    if once:
        try:
            Path(once).unlink()
        except FileNotFoundError:
            return
    os.kill(os.getpid(), signal.SIGKILL)
