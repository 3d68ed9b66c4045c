"""Several conditions on the same series come to one verdict, and too little traffic to none. No plug-in lives here.

Three-valued, after Kleene: with N of M needed, a series is bad once N conditions are, ok once N no longer can be, and
unknown in between. All of them is M of M, any of them 1 of M.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from remediation.detect.base import Verdicts
from remediation.detect.wording import number
from remediation.series import Floats, Labels
from remediation.states import Code

Places = NDArray[np.intp]

_BAD, _UNKNOWN = int(Code.BAD), int(Code.UNKNOWN)
_WORSE = np.array([0, 2, 1])
"""By code: of several series that match, bad counts before unknown and unknown before ok."""


@dataclass(frozen=True, kw_only=True)
class Condition:
    """What one condition says. verdicts: None where it could not be asked or judged, which leaves every series unknown
    to it; `why` says so. name: what people call it."""

    name: str
    verdicts: Verdicts | None
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """How much traffic there is behind S series of labels, in the unit of its query, NaN where that is not a number;
    and the least with which bad is believed. why: what went wrong, where nothing is known."""

    minimum: float
    labels: tuple[Labels, ...] = ()
    values: Floats = field(default_factory=lambda: np.empty(0))
    why: str = ""


def combine(conditions: Sequence[Condition], *, need: int, now: float, known: Sequence[Labels] = ()) -> Verdicts:
    """The verdicts on the series of the first condition, of which `need` conditions must be bad.

    A series of another condition belongs to those with which it agrees in all labels that both have; of several the
    worst counts, and none at all is what the detector says of missing series. Value and expected band are those of the
    first condition. Score: the one that decides, which is the `need`-th largest. Time: the oldest sample that was
    judged. known: labels judged before. Those that the first condition no longer sees are judged all the same where
    that comes to something else than `missing`, which is what the first condition says of them. now: in seconds since
    the epoch, the time of what is known from a series being missing.
    """
    first = conditions[0].verdicts
    labels = _with_missing(first.labels if first is not None else (), known)
    columns = [_column(one, labels, now=now, own=not at) for at, one in enumerate(conditions)]
    codes = np.stack([one.codes for one in columns])
    bad, unknown = np.sum(codes == Code.BAD, axis=0), np.sum(codes == Code.UNKNOWN, axis=0)
    told = np.where(bad >= need, Code.BAD, np.where(bad + unknown < need, Code.OK, Code.UNKNOWN)).astype(np.int8)
    missing, missing_reason = _missing(conditions)
    here = 0 if first is None else len(first.labels)
    kept = np.flatnonzero((np.arange(len(labels)) < here) | (told != missing))
    rows = zip(kept.tolist(), codes[:, kept].T.tolist(), strict=True)
    nothing = np.full(len(labels) - here, np.nan)
    values, lower, upper = (
        np.concatenate([of_first, nothing])[kept]
        for of_first in ((first.values, first.lower, first.upper) if first is not None else (np.empty(0),) * 3)
    )
    return Verdicts(
        labels=tuple(labels[row] for row in kept),
        codes=told[kept],
        values=values,
        scores=_deciding(columns, told, need)[kept],
        lower=lower,
        upper=upper,
        times=_oldest(columns)[kept],
        reasons=tuple(_reason(conditions, columns, said, row, need) for row, said in rows),
        missing=missing,
        missing_reason=missing_reason,
    )


def weigh(verdicts: Verdicts, traffic: Traffic) -> Verdicts:
    """The same with unknown for bad where the traffic is below its minimum, or not known; several series that match a
    verdict's labels are added up. What is ok stays so."""
    values = total(verdicts.labels, traffic)
    with np.errstate(invalid="ignore"):
        thin = (verdicts.codes == Code.BAD) & ~(values >= traffic.minimum)
    if not thin.any() and verdicts.missing != Code.BAD:
        return verdicts
    return dataclasses.replace(
        verdicts,
        codes=np.where(thin, Code.UNKNOWN, verdicts.codes).astype(np.int8),
        scores=np.where(thin, np.nan, verdicts.scores),
        reasons=tuple(
            f"{_thin(value, traffic)} ({said})" if is_thin else said
            for is_thin, value, said in zip(thin, values, verdicts.reasons, strict=True)
        ),
        missing=Code.UNKNOWN if verdicts.missing == Code.BAD else verdicts.missing,
    )


def total(labels: Sequence[Labels], traffic: Traffic) -> Floats:
    """The traffic behind each of S label sets; NaN where there is none, or where one of several is not a number."""
    sums, met = np.zeros(len(labels)), np.zeros(len(labels), dtype=bool)
    for rows, row_keys, others, other_keys in _meetings(labels, traffic.labels):
        sums[rows] += np.bincount(other_keys, weights=traffic.values[others])[row_keys]
        met[rows] = True
    return np.where(met, sums, np.nan)


def _thin(value: float, traffic: Traffic) -> str:
    if np.isnan(value):
        why = f": {traffic.why}" if traffic.why else ""
        return f"nobody can tell whether there is enough traffic to judge{why}"
    return f"{number(value)} is less traffic than {number(traffic.minimum)}: too little to judge"


# --- one condition ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Column:
    """What one condition says of R series. place: the series of its own that counts, -1 where it is the missing one."""

    codes: NDArray[np.int8]
    scores: Floats
    times: Floats
    place: Places
    reasons: tuple[str, ...]
    missing_reason: str

    def reason(self, row: int) -> str:
        return self.reasons[self.place[row]] if self.place[row] >= 0 else self.missing_reason


def _column(one: Condition, labels: Sequence[Labels], *, now: float, own: bool) -> _Column:
    """own: the condition's series are the first of these labels, and no other is there."""
    found = one.verdicts
    nowhere = np.full(len(labels), -1, dtype=np.intp)
    if found is None:
        codes, nothing = np.full(len(labels), Code.UNKNOWN, dtype=np.int8), np.full(len(labels), np.nan)
        return _Column(codes=codes, scores=nothing, times=nothing, place=nowhere, reasons=(), missing_reason=one.why)
    at = np.arange(len(labels))
    place = np.where(at < len(found.labels), at, -1) if own else _worst(labels, found)
    known = found.missing != Code.UNKNOWN
    # The last element stands for a series that is missing, and is what place -1 points at.
    codes = np.append(found.codes, np.int8(found.missing))[place]
    scores = np.append(found.scores, float(found.missing == Code.BAD) if known else np.nan)[place]
    times = np.append(found.times, now if known else np.nan)[place]
    return _Column(
        codes=codes,
        scores=scores,
        times=times,
        place=place,
        reasons=found.reasons,
        missing_reason=found.missing_reason,
    )


def _with_missing(labels: tuple[Labels, ...], known: Sequence[Labels]) -> tuple[Labels, ...]:
    if not known:
        return labels
    here = {frozenset(one.items()) for one in labels}
    return (*labels, *(one for one in known if frozenset(one.items()) not in here))


def _missing(conditions: Sequence[Condition]) -> tuple[Code, str]:
    """What the first condition says of a series that it no longer sees. Bad is for all conditions to say, and they
    are asked of known series only."""
    first = conditions[0].verdicts
    if first is None:
        return Code.UNKNOWN, conditions[0].why
    alone = len(conditions) == 1 or first.missing != Code.BAD
    return (first.missing if alone else Code.UNKNOWN), first.missing_reason


# --- which series belong together -------------------------------------------------------------------------------------


def _worst(labels: Sequence[Labels], found: Verdicts) -> Places:
    """For each label set the place of the worst series that agrees with it; -1 for none. Of several that are equally
    bad it is the one with the highest score."""
    order = np.lexsort((np.nan_to_num(found.scores, nan=-1.0), _WORSE[found.codes]))
    rank = np.empty(len(order), dtype=np.intp)
    rank[order] = np.arange(len(order))
    best = np.full(len(labels), -1, dtype=np.intp)
    for rows, row_keys, others, other_keys in _meetings(labels, found.labels):
        most = np.full(int(other_keys.max()) + 1, -1, dtype=np.intp)
        np.maximum.at(most, other_keys, rank[others])
        best[rows] = np.maximum(best[rows], most[row_keys])
    return np.append(order, -1)[best]


def _meetings(labels: Sequence[Labels], others: Sequence[Labels]) -> Iterator[tuple[Places, Places, Places, Places]]:
    """Places of label sets with their keys, places of others with theirs: equal keys agree in all labels that both
    have. Each pair that agrees is in one meeting only."""
    theirs = _by_names(others)
    for names, rows in _by_names(labels).items():
        for other_names, places in theirs.items():
            common = [name for name in names if name in other_names]
            keys: dict[tuple[str, ...], int] = {}
            other_keys = [keys.setdefault(_values(others[at], common), len(keys)) for at in places]
            row_keys = np.array([keys.get(_values(labels[at], common), -1) for at in rows], dtype=np.intp)
            met = row_keys >= 0
            if met.any():
                yield np.array(rows)[met], row_keys[met], np.array(places), np.array(other_keys)


def _by_names(labels: Sequence[Labels]) -> dict[tuple[str, ...], list[int]]:
    found: dict[tuple[str, ...], list[int]] = {}
    for at, one in enumerate(labels):
        found.setdefault(tuple(sorted(one)), []).append(at)
    return found


def _values(labels: Labels, names: Sequence[str]) -> tuple[str, ...]:
    return tuple([labels[name] for name in names])


# --- what they come to ------------------------------------------------------------------------------------------------


def _deciding(columns: Sequence[_Column], told: NDArray[np.int8], need: int) -> Floats:
    """The `need`-th largest score. What is unknown counts as small beside enough that are bad, as large beside enough
    that are ok: there it decides nothing."""
    beside = np.where(told == Code.BAD, -np.inf, np.inf)
    scores = np.stack([np.where(np.isnan(one.scores), beside, one.scores) for one in columns])
    found: Floats = np.sort(scores, axis=0)[len(columns) - need]
    return np.where((told == Code.UNKNOWN) | np.isinf(found), np.nan, found)


def _oldest(columns: Sequence[_Column]) -> Floats:
    """The time of the oldest sample among those that were judged; NaN where none was."""
    times = np.stack([np.where(one.codes == Code.UNKNOWN, np.nan, one.times) for one in columns])
    found: Floats = np.fmin.reduce(times, axis=0)
    return found


def _reason(
    conditions: Sequence[Condition], columns: Sequence[_Column], codes: Sequence[int], row: int, need: int
) -> str:
    """One line: what is bad, what cannot be judged, and how many that makes. codes: of the row, by condition."""
    if len(columns) == 1:
        return columns[0].reason(row)
    bad = [at for at, code in enumerate(codes) if code == _BAD]
    unknown = [at for at, code in enumerate(codes) if code == _UNKNOWN]
    shown = bad or ([] if unknown else [0])
    parts = [f"{conditions[at].name}: {columns[at].reason(row)}" for at in shown]
    parts += [f"{conditions[at].name} cannot be judged: {columns[at].reason(row)}" for at in unknown]
    told = " ".join("; ".join(parts).split())  # what a source says may have several lines
    return f"{told} ({len(bad)} of {len(columns)} conditions bad, {need} needed)"
