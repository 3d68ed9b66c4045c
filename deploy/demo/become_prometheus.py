"""Make the history, then become Prometheus: `python -m deploy.demo.become_prometheus PROMETHEUS ARGUMENTS ...`

In one process, so that the history ends where the live samples begin however long everything else took to start.
"""

import os
import sys
import time
from pathlib import Path

from deploy.demo import history
from deploy.demo.config import DemoConfig

# Prometheus scrapes first some seconds after its start, and takes no sample older than the end of its blocks: history
# that reaches this far ahead leaves no gap before the live samples, and no moment is there twice.
FIRST_SCRAPE_S = 6


def main() -> None:
    config = DemoConfig.load(Path(os.environ["HOMEOSTAT_DEMO_CONFIG"]))
    history.backfill(config, time.time() + FIRST_SCRAPE_S)
    os.execv(sys.argv[1], sys.argv[1:])  # noqa: S606 - the arguments come from stack.py


if __name__ == "__main__":
    main()
