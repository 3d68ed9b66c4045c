"""Settings of the loop, each with its unit, default and reason. Overridden by `HOMEOSTAT_<NAME>` in the environment."""

import os
import re

SWEEP_S = float(os.environ.get("HOMEOSTAT_SWEEP_S", "1"))
"""Seconds between two sweeps of the reconcile: how long a lost doorbell delays work."""

LEASE_MARGIN_S = float(os.environ.get("HOMEOSTAT_LEASE_MARGIN_S", "10"))
"""Seconds beyond a step's deadline until an effect without an answer counts as unknown."""

EVALUATION_LEASE_S = float(os.environ.get("HOMEOSTAT_EVALUATION_LEASE_S", "60"))
"""Seconds after which an evaluation that never ended no longer blocks its rule's next slot."""

VERIFY_EVERY_S = float(os.environ.get("HOMEOSTAT_VERIFY_EVERY_S", "1"))
"""Seconds between two looks at the condition while a remediation is verifying."""

GATE_RECHECK_S = float(os.environ.get("HOMEOSTAT_GATE_RECHECK_S", "2"))
"""Seconds after which a gated remediation asks its guards again."""

STALL_INTERVALS = 2
"""A stage that missed its heartbeat by this many intervals is stalled (banner, metric, not ready)."""

FORGET_AFTER_S = float(os.environ.get("HOMEOSTAT_FORGET_AFTER_S", "900"))
"""Seconds after which a series that is gone (a replaced instance) is forgotten: only while the rule sees others, and
never one with an open incident."""

WINDOW_CACHE_MB = float(os.environ.get("HOMEOSTAT_WINDOW_CACHE_MB", "128"))
"""Mebibytes of windows and streams that each process keeps between looks, the least recently used given up first. A
series takes 9 bytes a point, and some 700 for its labels; 1,000 rules of 10 series and 240 points take 30 MiB."""

OUTPUT_LIMIT = 4000
"""Characters of an effect's output that are kept."""

_DURATION = re.compile(r"(\d+)(ms|s|m|h|d|w|y)")
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}


def parse_duration(text: str) -> float:
    """Seconds of a Prometheus duration such as `1h30m`. Raises ValueError."""
    text = text.strip()
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is no duration; write it like 30s, 5m or 1h30m")
    return sum(int(number) * _UNITS[unit] for number, unit in parts)
