"""Settings of the loop, each with its unit, default and reason. Overridden by `HOMEOSTAT_<NAME>` in the environment."""

import os
import re

SWEEP_S = float(os.environ.get("HOMEOSTAT_SWEEP_S", "1"))
"""Seconds between two sweeps of the reconcile: how long a lost doorbell delays work."""

LEASE_MARGIN_S = float(os.environ.get("HOMEOSTAT_LEASE_MARGIN_S", "10"))
"""Seconds beyond a step's deadline until an effect without an answer counts as unknown."""

LEASE_S = float(os.environ.get("HOMEOSTAT_LEASE_S", "30"))
"""Seconds that the claim of an effect holds without a sign of life: a worker that died is noticed by then."""

HEARTBEAT_S = float(os.environ.get("HOMEOSTAT_HEARTBEAT_S", "5"))
"""Seconds between two signs of life while an effect runs. Several fit into LEASE_S: a database that is locked for a
while must not cost a worker its claim."""

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
series takes 9 to 12 B a point and a good KiB for its labels: 1,000 rules of 10 series of 240 points take 40 MiB."""

REAUTH_S = float(os.environ.get("HOMEOSTAT_REAUTH_S", "900"))
"""Seconds after signing in during which a risky step is approved without the password being asked for again."""

LOCK_AFTER = int(os.environ.get("HOMEOSTAT_LOCK_AFTER", "6"))
"""Bad passwords for one user name, within the time below, after which it is locked."""

LOCK_S = float(os.environ.get("HOMEOSTAT_LOCK_S", "300"))
"""Seconds that such a user name stays locked; a bad password is forgotten after as long."""

FREE_BYTES = 16 * 1024 * 1024
"""Bytes that have to be free on the disk of HOMEOSTAT_HOME: with less the next write may fail, and an effect could no
longer be recorded."""

OUTPUT_LIMIT = 4000
"""Characters of an effect's output that are kept."""

BUDGET_EVERYWHERE = int(os.environ.get("HOMEOSTAT_BUDGET_EVERYWHERE", "60"))
"""Effects in an hour, of all services together: more than this is a loop that has lost its footing."""

BUDGET_PER_DOMAIN = int(os.environ.get("HOMEOSTAT_BUDGET_PER_DOMAIN", "20"))
"""Effects in an hour on targets of one failure domain (one value of the step's domain label), of all services
together: asked of steps that name such a label."""

CONCURRENCY = int(os.environ.get("HOMEOSTAT_CONCURRENCY", "4"))
"""Repairs under way at once, of all services together."""

BREAKER_OPENS_AFTER = int(os.environ.get("HOMEOSTAT_BREAKER_OPENS_AFTER", "3"))
"""Attempts in a row that ended badly, of one step on one service, until nothing passes. One that made it worse is
enough."""

BREAKER_REST_S = float(os.environ.get("HOMEOSTAT_BREAKER_REST_S", "900"))
"""Seconds until an open breaker lets one attempt through, which a person has to approve."""

STORM_SHARE = float(os.environ.get("HOMEOSTAT_STORM_SHARE", "0.3"))
"""With more of a source's series (0 to 1) going bad or unknown within STORM_WITHIN_S the observer is the likelier
fault; so it is with more of its services."""

STORM_LEAST = int(os.environ.get("HOMEOSTAT_STORM_LEAST", "10"))
"""Series that it takes for a storm, whatever share they are."""

STORM_SERVICES = int(os.environ.get("HOMEOSTAT_STORM_SERVICES", "5"))
"""Services that it takes for a storm, whatever share they are: a cause and its few victims are none."""

STORM_WITHIN_S = float(os.environ.get("HOMEOSTAT_STORM_WITHIN_S", "60"))
"""Seconds within which they have to go bad."""

STORM_CALM_S = float(os.environ.get("HOMEOSTAT_STORM_CALM_S", "120"))
"""Seconds for which a source has to be as well as it was before, until its storm is over."""

STORM_RECHECK_S = float(os.environ.get("HOMEOSTAT_STORM_RECHECK_S", "10"))
"""Seconds after which a remediation that nothing but a storm holds asks its guards again; up to twice that."""

PARTIAL_SHARE = float(os.environ.get("HOMEOSTAT_PARTIAL_SHARE", "0.3"))
"""With more of a rule's or a source's series (0 to 1) going bad or unknown in one scrape nothing is done about them."""

PARTIAL_LEAST = int(os.environ.get("HOMEOSTAT_PARTIAL_LEAST", "10"))
"""Series that it takes for that, whatever share they are."""

FLAPPING_TIMES = int(os.environ.get("HOMEOSTAT_FLAPPING_TIMES", "5"))
"""A fault that fires more often than this within FLAPPING_WINDOW_S is for a person: no repair holds."""

FLAPPING_WINDOW_S = float(os.environ.get("HOMEOSTAT_FLAPPING_WINDOW_S", "3600"))
"""Seconds in which it is counted."""

_DURATION = re.compile(r"(\d+)(ms|s|m|h|d|w|y)")
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}


def parse_duration(text: str) -> float:
    """Seconds of a Prometheus duration such as `1h30m`. Raises ValueError."""
    text = text.strip()
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is no duration; write it like 30s, 5m or 1h30m")
    return sum(int(number) * _UNITS[unit] for number, unit in parts)
