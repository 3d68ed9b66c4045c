"""Autonomy that is earned and lost: what a playbook has shown, and what it may do by itself.

Everything is read from rows when it is needed, so no crash forgets a bad verdict, and a decision sees the newest.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, override

from remediation.chances import Lift, Share
from remediation.exceptions import Conflict
from remediation.masking import note_masking
from remediation.models import (
    HOMEOSTAT,
    Backtest,
    Incident,
    Playbook,
    PlaybookVersion,
    Prepared,
    Remediation,
    Step,
    record,
)
from remediation.shadow import healed_alone, settle_watches
from remediation.states import BAD_ENDS, Autonomy
from remediation.states import RemediationState as R

BAD_IN_A_ROW = 2
"""Bad verdicts one after another that cost a playbook its autonomy; one that made things worse does at once."""
BACKTESTED_WITHIN = timedelta(days=30)
SWEEP_EVERY = timedelta(seconds=10)
"""How often the sweep looks; a decision looks by itself."""
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


_ended = Prepared(
    lambda given: Remediation.objects.filter(
        playbook=given("playbook"), ended_at__gt=given("since"), effect_started_at__isnull=False
    ).order_by("-ended_at", "-pk")[:20]
)
_written_at = Prepared(
    lambda given: (
        PlaybookVersion.objects.filter(playbook=given("playbook"), number=given("number"))
        .order_by()
        .values_list("at", flat=True)
    )
)


@dataclass(frozen=True, kw_only=True)
class StepRecord:
    """What one step of the current version has shown. recovery_s: median seconds from the effect to verified."""

    position: int
    verb: str
    attempts: int
    verified: int
    ineffective: int
    worsened: int
    inconclusive: int
    failed: int
    relapsed: int
    collateral: int
    recovery_s: float | None
    lift: Lift


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """text: in the language of who looks."""

    text: str
    met: bool


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """The next degree of autonomy, and what speaks for it. Made by the page; a person decides."""

    to: Autonomy
    criteria: tuple[Criterion, ...]

    @property
    def met(self) -> bool:
        return all(one.met for one in self.criteria)


# --- what it has shown ------------------------------------------------------------------------------------------------


def records(playbook: Playbook) -> list[StepRecord]:
    """Per step, of the current version only: an edited playbook has shown nothing yet."""
    alone = healed_alone(playbook)
    rows = list(_attempts(playbook))
    return [_record(step, [row for row in rows if row.position == step.position], alone) for step in _steps(playbook)]


def _steps(playbook: Playbook) -> list[Step]:
    return list(playbook.steps.order_by("position"))


def _attempts(playbook: Playbook) -> Iterable[Remediation]:
    """Those that touched something and have ended, the oldest first."""
    return playbook.remediations.filter(
        ended_at__isnull=False, effect_started_at__isnull=False, playbook_version=playbook.version
    ).order_by("ended_at", "pk")


def _record(step: Step, rows: list[Remediation], alone: Share) -> StepRecord:
    states = [row.state for row in rows]
    lasting = [row for row in rows if row.state == R.VERIFIED and row.relapsed_at is None]
    took = [
        (row.ended_at - row.effect_started_at).total_seconds()
        for row in lasting
        if row.ended_at is not None and row.effect_started_at is not None
    ]
    return StepRecord(
        position=step.position,
        verb=step.verb,
        attempts=len(rows),
        verified=states.count(R.VERIFIED),
        ineffective=states.count(R.INEFFECTIVE),
        worsened=sum(_made_worse(row) for row in rows),
        inconclusive=states.count(R.INCONCLUSIVE),
        failed=states.count(R.FAILED),
        relapsed=sum(row.relapsed_at is not None for row in rows),
        collateral=sum(bool(row.collateral) for row in rows),
        recovery_s=median(took) if took else None,
        lift=Lift(ours=Share(hits=len(lasting), n=len(rows)), alone=alone),
    )


def _made_worse(row: Remediation) -> bool:
    return row.state in (R.WORSENED, R.ROLLED_BACK) or bool(row.undone) or bool(row.collateral)


# --- what it may do ---------------------------------------------------------------------------------------------------


def autonomy_for(playbook: Playbook, incident: Incident, *, now: datetime) -> tuple[Autonomy, str]:
    """What the playbook may do about this incident by itself, and why not more. Takes autonomy away that is lost."""
    demote_if_due(playbook, now=now)
    if playbook.autonomy != Autonomy.AUTO:
        return Autonomy(playbook.autonomy), ""
    version = incident.rule_version
    if version.number > 1 and version.at > _since(playbook):
        return Autonomy.APPROVE, (
            f"{incident.rule} was edited on {version.at:%Y-%m-%d %H:%M} UTC, after {playbook} was trusted"
        )
    return Autonomy.AUTO, ""


def demote_if_due(playbook: Playbook, *, now: datetime) -> bool:
    """From auto back to approve, when what happened since it was trusted says so."""
    if playbook.autonomy != Autonomy.AUTO:
        return False
    why = _being_undone(playbook) or _distrust(playbook, now=now)
    return bool(why) and _set_autonomy(playbook, Autonomy.APPROVE, by=HOMEOSTAT, reason=why, now=now)


def _being_undone(playbook: Playbook) -> str:
    """That it made something worse is known before the undo has come to its end, which a freeze may hold for long."""
    since = _since(playbook)
    row = playbook.remediations.filter(state=R.ROLLING_BACK, state_since__gt=since).order_by("-pk").first()
    return f"{row} (remediation {row.pk}) made things worse: {row.reason}" if row is not None else ""


def _distrust(playbook: Playbook, *, now: datetime) -> str:
    """Why it is not to be trusted any more; empty while it is."""
    since = _since(playbook)
    # Reverse: what ended last counts first.
    recent = _ended.all(playbook=playbook.pk, since=since)
    worse = next((row for row in recent if _made_worse(row)), None)
    if worse is not None:
        return f"{worse} (remediation {worse.pk}) made things worse: {worse.reason}"
    bad = 0
    for row in recent:
        if row.state == R.VERIFIED and row.relapsed_at is None:
            break
        bad += row.state in BAD_ENDS or row.relapsed_at is not None
    if bad >= BAD_IN_A_ROW:
        return f"{bad} attempts in a row did not help; the last: {recent[0]}, {recent[0].state}: {recent[0].reason}"
    last = max([since, *(row.ended_at for row in recent[:1] if row.ended_at is not None)])
    if last > BEGINNING and now - last > timedelta(days=playbook.silence_days):
        return f"not used for {(now - last).days} days; {playbook.silence_days} are allowed"
    return ""


def _since(playbook: Playbook) -> datetime:
    """Since when it is trusted."""
    if playbook.autonomy_since is not None:
        return playbook.autonomy_since
    return _written_at.first(playbook=playbook.pk, number=playbook.version) or BEGINNING


def _set_autonomy(playbook: Playbook, to: Autonomy, *, by: str, reason: str, now: datetime) -> bool:
    """By compare-and-set, so that of two only one says it."""
    with transaction.atomic():
        mine = Playbook.objects.filter(pk=playbook.pk, autonomy=playbook.autonomy)
        before = playbook.autonomy
        done = mine.update(autonomy=to, autonomy_since=now, autonomy_reason=reason)
        if done:
            record(playbook, f"autonomy {to}", now=now, actor=by, reason=reason, from_state=f"autonomy {before}")
    playbook.refresh_from_db(fields=["autonomy", "autonomy_since", "autonomy_reason"])
    return bool(done)


def proposal(playbook: Playbook, *, now: datetime) -> Proposal | None:
    """The next degree and its criteria; None where there is none."""
    if playbook.autonomy == Autonomy.SHADOW:
        return Proposal(to=Autonomy.APPROVE, criteria=(*_shadow_criteria(playbook), _backtested(playbook, now=now)))
    if playbook.autonomy == Autonomy.APPROVE:
        shown = [one for one in records(playbook) if one.attempts]
        tried = Criterion(text=_("no step was tried yet"), met=False)
        criteria = [one for step in shown for one in _step_criteria(playbook, step)] or [tried]
        return Proposal(to=Autonomy.AUTO, criteria=(*criteria, _backtested(playbook, now=now)))
    return None


def _shadow_criteria(playbook: Playbook) -> Iterable[Criterion]:
    alone = healed_alone(playbook)
    asked = playbook.promote_after
    told = ngettext(
        "%(n)d fault watched to the end, %(asked)d asked", "%(n)d faults watched to the end, %(asked)d asked", alone.n
    )
    yield Criterion(text=told % {"n": alone.n, "asked": asked}, met=alone.n >= asked)
    room, least = 1 - alone.high, playbook.promote_lift
    told = _("%(hits)d of %(n)d healed by themselves: at least %(room)s need help, %(least)s asked")
    shares = {"hits": alone.hits, "n": alone.n, "room": f"{room:.0%}", "least": f"{least:.0%}"}
    yield Criterion(text=told % shares, met=room >= least)


def _step_criteria(playbook: Playbook, shown: StepRecord) -> Iterable[Criterion]:
    name = _("step %(position)d (%(verb)s)") % {"position": shown.position, "verb": _(shown.verb)}
    told = ngettext(
        "%(step)s: %(n)d attempt, %(asked)d asked", "%(step)s: %(n)d attempts, %(asked)d asked", shown.attempts
    )
    yield Criterion(
        text=told % {"step": name, "n": shown.attempts, "asked": playbook.promote_after},
        met=shown.attempts >= playbook.promote_after,
    )
    lift = shown.lift
    value = f"{lift.value:+.0%} ({lift.low:+.0%} … {lift.high:+.0%})" if lift.known else _("unknown")
    told = _("%(step)s: lift over healing by itself %(lift)s, at least %(asked)s asked")
    yield Criterion(
        text=told % {"step": name, "lift": value, "asked": f"{playbook.promote_lift:+.0%}"},
        met=lift.known and lift.low >= playbook.promote_lift,
    )
    told = _("%(step)s: %(worse)d made things worse, %(collateral)d with collateral, none asked")
    yield Criterion(
        text=told % {"step": name, "worse": shown.worsened, "collateral": shown.collateral},
        met=not shown.worsened and not shown.collateral,
    )


def _backtested(playbook: Playbook, *, now: datetime) -> Criterion:
    done = Backtest.objects.filter(playbook=playbook, state="done", ended_at__gt=now - BACKTESTED_WITHIN).exists()
    return Criterion(text=_("a backtest within %(n)d days") % {"n": BACKTESTED_WITHIN.days}, met=done)


def give(playbook: Playbook, to: Autonomy, *, by: str, reason: str, now: datetime) -> None:
    """A person changes the autonomy. More than one degree up, or up without its criteria, needs a reason in words.
    Raises Conflict."""
    order = list(Autonomy)
    up = order.index(to) - order.index(Autonomy(playbook.autonomy))
    with override("en"):  # what is kept of it stays in one language
        offered = proposal(playbook, now=now)
    earned = up <= 0 or (up == 1 and offered is not None and offered.met)
    if not earned and not reason.strip():
        raise Conflict(_("Its criteria are not met: say why it is to be trusted all the same."))
    why = reason.strip() or (f"earned: {'; '.join(one.text for one in offered.criteria)}" if offered and up else "")
    if not _set_autonomy(playbook, to, by=by, reason=why, now=now):
        raise Conflict(_("Somebody was quicker: its autonomy was changed meanwhile."))


# --- by the sweep -----------------------------------------------------------------------------------------------------


def sweep(*, now: datetime) -> None:
    """What must not wait for the next decision: silence, the ends of watches, and repairs that repeat."""
    settle_watches(now=now)
    for playbook in Playbook.objects.filter(autonomy=Autonomy.AUTO, enabled=True):
        demote_if_due(playbook, now=now)
    verified = Remediation.objects.filter(state=R.VERIFIED, ended_at__gt=now - 3 * SWEEP_EVERY)
    for row in verified.select_related("incident__rule", "incident__service", "playbook"):
        note_masking(row, now=now)
