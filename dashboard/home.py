"""Where an installation keeps its files, and how a second terminal finds the one that runs.

`manage.py up` and `manage.py demo` write `up.json` into their home while they live and leave a pointer to it beside the
code, so that `manage.py incidents` typed elsewhere reads the database of the running installation.
"""

import json
import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
DEFAULT_HOME = BASE_DIR / "var"
POINTER = DEFAULT_HOME / "running.json"


def find_home() -> Path:
    """The home of this process: `HOMEOSTAT_HOME`, else the running installation's, else `var/`."""
    told = os.environ.get("HOMEOSTAT_HOME")
    if told:
        return Path(told).resolve()
    running = read_pointer()
    return Path(running["home"]) if running else DEFAULT_HOME


def read_pointer() -> dict[str, str] | None:
    """What the running installation wrote, or None when there is none or its process is gone."""
    try:
        pointer = json.loads(POINTER.read_text())
        os.kill(int(pointer["pid"]), 0)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return {str(key): str(value) for key, value in pointer.items()}
