"""What a rule on alerts is judged by: the stored alerts of a source as series."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, datetime

import numpy as np
from django.db.models import Q, QuerySet

from remediation import matchers
from remediation.models import Alert, SeriesState
from remediation.observe.alert_rows import FIRING, RESOLVED, moment, of_names
from remediation.series import Labels, Matrix
from remediation.states import Phase

RESOLVED_REACH_S = 3600.0
"""A resolved alert counts as good this long; later only for a series that is still open. Older rows are history."""
REPEAT_S = 5 * 3600.0
"""An alert that only messages told of counts as firing this long after the last one. Alertmanager repeats itself every
4 h (the default of repeat_interval) and a group_interval at most; after that the message of its end may be lost."""


def as_matrix(
    source_id: int, matchers_text: str, *, now: float, answered: bool, only: Collection[str] | None = None
) -> Matrix:
    """One series per distinct label set that fits the matchers: 1.0 firing, 0.0 resolved, NaN where nobody can tell.

    answered: whether the source answers pulls now; without that, what was pulled earlier may have changed since.
    only: the fingerprints that are asked for, where it is not all. Raises MatcherError.
    """
    wanted = matchers.parse(matchers_text)
    values: dict[str, float] = {}
    labels: dict[str, Labels] = {}
    rows: Iterable[Alert] = (
        _judged(source_id, now=moment(now)) if only is None else of_names.all(source=source_id, names=sorted(only))
    )
    for row in rows:
        if row.fingerprint not in labels and not all(matcher.matches(row.labels) for matcher in wanted):
            continue
        labels[row.fingerprint] = row.labels
        values[row.fingerprint] = _stronger(values.get(row.fingerprint), _value(row, now=now, answered=answered))
    return Matrix(
        labels=tuple(labels.values()),
        times=np.array([now]),
        values=np.array(list(values.values()), dtype=np.float64).reshape(len(values), 1),
        now=now,
        note="" if labels else "no alert that fits is firing or was resolved lately",
    )


def _judged(source_id: int, *, now: datetime) -> QuerySet[Alert]:
    open_series = SeriesState.objects.filter(
        rule__source_id=source_id, phase__in=[Phase.PENDING, Phase.FIRING, Phase.RECOVERING]
    ).values("fingerprint")
    lately = datetime.fromtimestamp(now.timestamp() - RESOLVED_REACH_S, UTC)
    rows = Alert.objects.filter(source_id=source_id)
    return rows.filter(Q(status=FIRING) | Q(seen_at__gte=lately) | Q(fingerprint__in=open_series)).order_by("pk")


def _value(row: Alert, *, now: float, answered: bool) -> float:
    if row.pulled and not answered:
        return float("nan")
    # Alertmanager's own reading: an alert whose end has passed without being sent again is resolved.
    over = row.ends_at is not None and row.ends_at.timestamp() <= now
    if row.status == RESOLVED or over:
        return 0.0
    unheard = not row.pulled and now - row.seen_at.timestamp() > REPEAT_S
    return float("nan") if unheard else 1.0


def _stronger(before: float | None, new: float) -> float:
    """What several starts of one alert say together: firing beats unknown, unknown beats resolved."""
    values = [new] if before is None else [before, new]
    if 1.0 in values:
        return 1.0
    return float(np.sum(values))  # NaN when either is unknown, else 0
