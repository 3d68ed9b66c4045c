"""Run a rule over real history."""

from __future__ import annotations

import json
import os
import sys
from argparse import SUPPRESS, ArgumentParser
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.management.base import CommandError, no_translations

from remediation.backtest import job
from remediation.backtest.outcome import SIMULATED, Action, Episode, Result
from remediation.backtest.run import Plan, edited, run
from remediation.conf import parse_duration
from remediation.exceptions import HomeostatError
from remediation.management.arguments import TeachingCommand
from remediation.models import Playbook, Rule

DESCRIPTION = """Run a rule over real history: when it would have fired, for how long, on which series. With a playbook
also what would have been done about it, and which guard would have held it. Reads the source and touches nothing.

  manage.py backtest AppDown --from 6h                       the last six hours
  manage.py backtest AppDown --from 2026-01-31T12:00 --to 2026-02-01T00:00
                                                             a range, in UTC
  manage.py backtest AppSlow --from 1d --set limit=8 --for 1m
                                                             with other parameters than the saved ones; saves nothing
  manage.py backtest AppDown --from 7d --playbook "Restart" what this playbook would have done, simulated
  manage.py backtest AppDown --from 1d --json                everything, as one object for scripts

Every evaluation of the range is judged as live evaluation judges it: same query, detector, window and phases. Progress
goes to stderr; Ctrl-C stops it."""

EPISODES = ("PENDING", "FIRING", "ENDED", "LASTED", "UNKNOWN", "BAD VALUES", "SERIES")
ACTIONS = ("PLANNED", "EFFECT", "STEP", "OUTCOME (SIMULATED)", "HELD BY")


class Command(TeachingCommand):
    help = DESCRIPTION

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("rule", nargs="?", default="", help="the rule's name")
        parser.add_argument("--from", dest="begin", default="6h", metavar="TIME", help="6h ago (default), or a time")
        parser.add_argument("--to", dest="end", default="now", metavar="TIME", help="now (default), 1h ago, or a time")
        parser.add_argument("--playbook", default="", metavar="NAME", help="simulate what it would have done")
        parser.add_argument("--set", dest="params", action="append", default=[], metavar="NAME=VALUE")
        parser.add_argument("--for", dest="for_s", default="", metavar="SPAN", help="instead of the rule's own")
        parser.add_argument("--keep-firing-for", dest="keep_s", default="", metavar="SPAN")
        parser.add_argument("--json", action="store_true", dest="as_json", help="print one JSON object")
        parser.add_argument("--row", type=int, default=0, help=SUPPRESS)  # for the worker: see backtest.job

    @no_translations
    def handle(self, *, rule: str, row: int, as_json: bool, **options: Any) -> None:
        if row:
            os.nice(10)
            job.work(row)
            return
        now = datetime.now(UTC)
        plan = Plan(
            rule=_edited(_find_rule(rule), options),
            start=_time(options["begin"], now=now).timestamp(),
            end=_time(options["end"], now=now).timestamp(),
            playbook=_find_playbook(options["playbook"]),
        )
        if plan.end <= plan.start:
            raise CommandError("--from must lie before --to.")
        try:
            result = run(plan, progress=self._progress)
        except HomeostatError as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            raise CommandError("Stopped; nothing was changed.", returncode=130) from None
        finally:
            self._progress(None)
        self.stdout.write(json.dumps(result.as_json(), indent=2) if as_json else report(plan, result))

    def _progress(self, share: float | None) -> None:
        """A line that overwrites itself on a terminal, and nothing where nobody watches."""
        if sys.stderr.isatty():
            text = "" if share is None else f"{share:6.1%}"
            self.stderr.write(f"\r{text:<10}\r" if share is None else f"\r{text}", ending="")


def _find_rule(name: str) -> Rule:
    found = Rule.objects.select_related("source", "service").filter(name=name).first()
    if found is None:
        names = ", ".join(Rule.objects.order_by("name").values_list("name", flat=True)[:50])
        said = f"There is no rule named {name!r}." if name else "Name a rule."
        raise CommandError(f"{said} There are: {names or 'none yet; the admin creates one'}.")
    return found


def _find_playbook(name: str) -> Playbook | None:
    if not name:
        return None
    found = Playbook.objects.filter(name=name).first()
    if found is None:
        names = ", ".join(Playbook.objects.values_list("name", flat=True))
        raise CommandError(f"There is no playbook named {name!r}. There are: {names or 'none'}.")
    return found


def _edited(rule: Rule, options: dict[str, Any]) -> Rule:
    params = dict(rule.params)
    for pair in options["params"]:
        name, equals, text = pair.partition("=")
        if not equals:
            raise CommandError(f"--set {pair!r}: write NAME=VALUE, as in --set limit=8")
        params[name.strip()] = _value(text.strip())
    changes: dict[str, Any] = {"params": params}
    for field, text in (("for_s", options["for_s"]), ("keep_firing_for_s", options["keep_s"])):
        if text:
            changes[field] = _span(text)
    return edited(rule, changes)


def _value(text: str) -> Any:
    """A number, true, a list as JSON writes them; anything else is a text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _span(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise CommandError(str(error)) from error


def _time(text: str, *, now: datetime) -> datetime:
    """`now`, a span before now, or a time (UTC where it says nothing else)."""
    if text == "now":
        return now
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        try:
            return now - timedelta(seconds=parse_duration(text.removesuffix("ago").strip()))
        except (ValueError, OverflowError):
            raise CommandError(f"{text!r} is no time; write now, 6h, or 2026-01-31T12:00") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


# --- the report -------------------------------------------------------------------------------------------------------


def report(plan: Plan, result: Result) -> str:
    parts = [_headline(plan, result)]
    if result.episodes:
        parts.append(_table(EPISODES, [_episode(one, result) for one in result.episodes]))
    if result.left_out:
        parts.append(f"{result.left_out} further episodes are not listed.")
    if result.simulated is not None:
        told = result.simulated
        parts.append(
            f"Playbook {told.playbook} ({told.autonomy}), simulated: of {told.fired} firing episodes it would have "
            f"acted in {told.acted}; {told.ended_first} ended by themselves first; {told.held} actions would have been "
            f"held; {told.needs_person} would have ended with a person."
        )
        if told.actions:
            parts.append(_table(ACTIONS, [_action(one) for one in told.actions]))
        parts.append("\n".join(f"- {line}" for line in told.assumptions))
    parts += [f"Note: {note}" for note in result.notes]
    return "\n\n".join(parts)


def _headline(plan: Plan, result: Result) -> str:
    text = (
        f"{plan.rule.name}, {_when(result.start)} to {_when(result.end)}: {result.evaluations} evaluations, "
        f"{result.series} series. Would have fired {result.fired} times ({_span_text(result.firing_s)} in all)"
    )
    if result.pending:
        text += f", was pending {result.pending} times without firing"
    if result.ended_alone and result.half_within_s is not None and result.most_within_s is not None:
        text += (
            f". {result.ended_alone} of them ended with nothing recorded to have been done: half within "
            f"{_span_text(result.half_within_s)}, nine of ten within {_span_text(result.most_within_s)}"
        )
    return text + "."


def _episode(one: Episode, result: Result) -> tuple[str, ...]:
    values = "-" if one.low is None or one.high is None else f"{one.low:.4g} to {one.high:.4g}"
    labels = ", ".join(f"{name}={value}" for name, value in sorted(one.labels.items())) or "{}"
    return (
        _when(one.pending_at) + ("<" if one.began_before else ""),
        _when(one.firing_at) if one.firing_at else "no",
        _when(one.ended_at) if one.ended_at else "not yet",
        _span_text(one.lasted_s(result.end)),
        _span_text(one.unknown_s),
        values,
        labels,
    )


def _action(one: Action) -> tuple[str, ...]:
    held = ", ".join(f"{hold.label} {_span_text(hold.end - hold.start)}" for hold in one.holds)
    step = f"{one.position}. {one.verb} {', '.join(one.targets)}" + (f" (try {one.attempt})" if one.attempt > 1 else "")
    return (
        _when(one.planned_at),
        _when(one.effect_at) if one.effect_at else "none",
        step + (" *" if one.only_if else ""),
        SIMULATED.get(one.outcome, one.outcome) if one.outcome != "impossible" else one.reason,
        held or "-",
    )


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, *(tuple(_printable(cell) for cell in row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    return "\n".join(line.rstrip() for line in padded)


def _when(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%m-%d %H:%M:%S")


def _span_text(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f}s"
    return f"{seconds / 60:.0f}m" if seconds < 6000 else f"{seconds / 3600:.1f}h"


def _printable(text: str) -> str:
    """Labels come from outside: no escape sequence of theirs may reach the terminal."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
