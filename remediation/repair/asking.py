"""What else has to hold after an effect: queries that the plan names, each judged series by series."""

from __future__ import annotations

import logging
import operator
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import numpy as np

from remediation import judging
from remediation.detect.base import last_points
from remediation.exceptions import HomeostatError
from remediation.judging import Asked
from remediation.models import Source
from remediation.series import Matrix
from remediation.states import Verdict
from remediation.verify.recovery import Look

log = logging.getLogger(__name__)

COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


def look_at(source: Source, asked: Mapping[str, Any] | Any, *, now: datetime) -> Look:
    """One look at {"query", "op", "value"}: ok when every series it gives holds, bad when one does not, unknown when
    there is none or one has no fresh sample. Never raises."""
    at = now.timestamp()
    if not isinstance(asked, Mapping):  # it is stored as somebody wrote it
        return _unknown(f"{asked}: is no query with a comparison", at)
    query = str(asked.get("query", ""))
    try:
        op, limit = str(asked["op"]), float(asked["value"])
        holds = COMPARE[op]
        # Asked as a threshold is: the newest sample of each series; nothing of its verdict is used.
        matrix = judging.fetch(Asked.of(source, query, "threshold", {"op": "<", "value": 0.0}), now=now)
    except HomeostatError as error:
        return _unknown(f"{query}: {error}", at)
    except (KeyError, TypeError, ValueError) as error:
        return _unknown(f"{query}: cannot be read ({type(error).__name__})", at)
    except Exception as error:
        log.exception("asking %s to verify failed", query)
        return _unknown(f"{query}: {type(error).__name__} while asking", at)
    return _judged(matrix, f"{query} {op} {limit:g}", lambda value: holds(value, limit), at)


def _judged(matrix: Matrix, wanted: str, holds: Callable[[float], bool], at: float) -> Look:
    values, times = last_points(matrix)
    if not len(values) or np.isnan(values).any():
        return _unknown(f"{wanted}: {'a series' if len(values) else 'it'} has no fresh sample", at)
    wrong = [float(value) for value in values if not holds(float(value))]
    shown = wrong[0] if wrong else float(values[0])
    said = f"{wanted}: {len(wrong)} of {len(values)} series not, the first is {shown:g}" if wrong else f"{wanted} holds"
    return Look(
        at=at,
        verdict=Verdict.BAD if wrong else Verdict.OK,
        value=shown if np.isfinite(shown) else None,
        sample_at=float(times.min()),
        reach_s=matrix.reach_s,
        reason=said,
    )


def _unknown(why: str, at: float) -> Look:
    return Look(at=at, verdict=Verdict.UNKNOWN, value=None, sample_at=None, reach_s=0.0, reason=why)
