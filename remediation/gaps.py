"""What Homeostat did not see because it did not look: it was down, or could not keep up. Noted when it looks again."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from remediation.models import Gap, Rule, RuleStatus, RuleVersion, Transition
from remediation.models.gap import late_after

KEPT = timedelta(days=31)
"""As far back as a chart reaches."""


def note(turns: Iterable[tuple[Rule, RuleStatus]], *, now: datetime) -> None:
    """These rules are evaluated now; each with its status as it was before. Nothing is read or written in time.

    A rule that failed before its gap was unknown before, and is until it is seen again: that is in its history.
    """
    late = [one for one in turns if not one[1].error and _is_late(*one, now=now)]
    if not late:
        return
    made, switched = _made_at(late), _switched_on_at(late)
    rows = []
    for rule, status in late:
        began = status.evaluated_at or made.get(rule.pk, now)
        if now - began > late_after(rule.period_s):
            off = status.evaluated_at is None or switched.get(rule.pk, began) > began
            rows.append(Gap(rule=rule, began_at=began, ended_at=now, off=off))
    _write(rows)
    Gap.objects.filter(ended_at__lt=now - KEPT).delete()


def _write(rows: list[Gap]) -> None:
    """One that begins where another ends prolongs it: a rule that is late every time has one gap, not thousands."""
    ends = Gap.objects.filter(rule__in=[row.rule_id for row in rows], ended_at__in={row.began_at for row in rows})
    before = {(gap.rule_id, gap.ended_at, gap.off): gap for gap in ends}
    longer = []
    for row in rows:
        if gap := before.get((row.rule_id, row.began_at, row.off)):
            gap.ended_at = row.ended_at
            longer.append(gap)
    Gap.objects.bulk_update(longer, ["ended_at"])
    known = {gap.rule_id for gap in longer}
    Gap.objects.bulk_create([row for row in rows if row.rule_id not in known])


def _is_late(rule: Rule, status: RuleStatus, *, now: datetime) -> bool:
    return status.evaluated_at is None or now - status.evaluated_at > late_after(rule.period_s)


def _made_at(late: Iterable[tuple[Rule, RuleStatus]]) -> dict[int, datetime]:
    """Of those that were never evaluated."""
    new = [rule.pk for rule, status in late if status.evaluated_at is None]
    return dict(RuleVersion.objects.filter(rule__in=new, number=1).values_list("rule_id", "at")) if new else {}


def _switched_on_at(late: Iterable[tuple[Rule, RuleStatus]]) -> dict[int, datetime]:
    """When each was last switched on by a person."""
    lines = Transition.objects.filter(kind="rule", to_state="enabled", object_id__in=[rule.pk for rule, _ in late])
    return dict(lines.order_by("pk").values_list("object_id", "at"))
