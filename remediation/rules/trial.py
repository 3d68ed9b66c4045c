"""Unit tests of rules: hand-written series in, the alerts that must fire out.

Queries are answered by a real Prometheus; our detectors judge the answers, and the phases that decide when an incident
fires are the ones of the loop. The source counts as alive throughout.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from remediation import texts
from remediation.combination import OPEN, Combination
from remediation.detect.base import Verdicts
from remediation.detect.combine import Condition, Traffic
from remediation.detect.phase import Standing, advance
from remediation.exceptions import ConfigurationError, ObserveError
from remediation.judging import Asked
from remediation.models import Rule, Source
from remediation.observe import window
from remediation.observe.base import Access
from remediation.observe.prometheus import Prometheus
from remediation.rules import store
from remediation.rules.cases import Case, Fired, Group, Trial
from remediation.rules.declared import Declared, Recording
from remediation.rules.export import span
from remediation.rules.notation import Mark
from remediation.series import Matrix, fingerprint
from remediation.standings import Judged, judged_series, missing
from remediation.states import Phase, Verdict

LOOKBACK_S = 300.0
"""How old a sample may be: Prometheus' own default, which the expectations of such files rely on."""

MAX_STEPS = 100_000


def run(trial: Trial) -> list[str]:
    """What went otherwise than expected; nothing when all is well. Raises ConfigurationError without a Prometheus."""
    failures = list[str]()
    for group in trial.groups:
        with store.running() as kept:
            client = Prometheus(Access(url=kept.url, stale_after_s=LOOKBACK_S))
            failures += _Replay(trial, group, kept, client).failures()
    return failures


class _Replay:
    """One group, from its start on, step by step, as live evaluation would go."""

    def __init__(self, trial: Trial, group: Group, kept: store.Store, client: Prometheus) -> None:
        self.trial, self.group, self.kept, self.client = trial, group, kept, client
        self.written = 0
        self.recorded: dict[str, dict[str, str]] = {}
        self.watched = [
            _Watched(rule) for rule in trial.rules.rules if rule.alert in {case.alert for case in group.cases}
        ]

    def failures(self) -> Iterator[str]:
        cases = sorted(self.group.cases, key=lambda case: case.at)
        last, step = max((case.at for case in cases), default=0.0), self.trial.interval_s
        if last / step > MAX_STEPS:
            raise ConfigurationError(f"{self.trial.file}:{self.group.line}: more than {MAX_STEPS} evaluations")
        at, due = 0.0, list(cases)
        while due:
            self.fill(until=at)
            for recording in self.trial.rules.recordings:
                self.record(recording, at)
            for watched in self.watched:
                watched.look(self.client, at)
            while due and at <= due[0].at < at + step:
                yield from self.compared(due.pop(0))
            at += step

    def fill(self, *, until: float) -> None:
        """Write the samples up to this time: what comes later is not to be seen by anybody."""
        interval = self.group.interval_s
        while self.written * interval <= until and self.written < max(
            (len(series.samples) for series in self.group.series), default=0
        ):
            at, turn = self.written * interval, self.written
            now = [(series.labels, series.samples[turn]) for series in self.group.series if turn < len(series.samples)]
            self.kept.write(
                (labels, at, sample if isinstance(sample, float) else None)
                for labels, sample in now
                if sample is not Mark.MISSING
            )
            self.written += 1

    def record(self, rule: Recording, at: float) -> None:
        """Evaluate a recording rule and keep what it gives; what it no longer gives ends."""
        answer = self.client.instant(rule.expression, at=at)
        found: dict[str, tuple[dict[str, str], float]] = {}
        for series in answer.series:
            labels = {**series.labels, **rule.labels, "__name__": rule.name}
            found[fingerprint(labels)] = (labels, float(series.values[-1]))
        gone = [labels for key, labels in self.recorded.items() if key not in found and labels["__name__"] == rule.name]
        self.kept.write([*((labels, at, value) for labels, value in found.values()), *((it, at, None) for it in gone)])
        self.recorded = {key: it for key, it in self.recorded.items() if it["__name__"] != rule.name}
        self.recorded |= {key: labels for key, (labels, _) in found.items()}

    def compared(self, case: Case) -> Iterator[str]:
        got = sorted(
            fired for watched in self.watched if watched.rule.alert == case.alert for fired in watched.firing()
        )
        errors = [watched.error for watched in self.watched if watched.rule.alert == case.alert and watched.error]
        if not any(watched.rule.alert == case.alert for watched in self.watched) and case.expected:
            errors.append(f"there is no rule for the alert {case.alert}")
        if got == sorted(case.expected) and not errors:
            return
        name = f"{self.group.name}: " if self.group.name else ""
        lines = [f"{self.trial.file}:{case.line}: {name}alertname: {case.alert}, time: {span(case.at)}"]
        lines += [*(f"    {error}" for error in errors), *_listed("exp", sorted(case.expected)), *_listed("got", got)]
        yield "\n".join(lines)


class _Watched:
    """One rule, and where each of its series stands."""

    def __init__(self, rule: Declared) -> None:
        self.rule = rule
        self.error = ""
        self.combination = Combination.of(_as_rule(rule))
        self.standings: dict[str, Standing] = {}
        self.last: dict[str, Judged] = {}

    def look(self, client: Prometheus, at: float) -> None:
        try:
            verdicts = self.judged(client, at)
        except (ObserveError, ConfigurationError) as error:
            self.error = self.error or f"{self.rule.name} at {span(at)}: {error}"
            return
        judged = judged_series(verdicts)
        for name, before in self.last.items():
            if name not in judged:
                judged[name] = missing(before.labels, verdicts)
        for name, one in judged.items():
            self.standings[name] = advance(
                self.standings.get(name),
                one.verdict,
                now=at,
                for_s=self.rule.for_s,
                keep_firing_for_s=self.rule.keep_firing_for_s,
            )
            if one.verdict == Verdict.BAD or name not in self.last:
                self.last[name] = one

    def judged(self, client: Prometheus, at: float) -> Verdicts:
        """What all conditions come to. Raises ObserveError, ConfigurationError."""
        combination = self.combination
        found = []
        for wanted in combination.wanted:
            asked = wanted.asked()
            verdicts = asked.detector.judge(_fetched(client, asked, at), asked.params)
            found.append(Condition(name=wanted.name, verdicts=verdicts))
        open_series = [self.last[name].labels for name, standing in self.standings.items() if standing.phase in OPEN]

        def traffic() -> Traffic:
            asked = combination.traffic
            return combination.traffic_in(_fetched(client, asked, at)) if asked else Traffic(minimum=0.0)

        return combination.come_to(found, traffic, now=at, known=open_series)

    def firing(self) -> Iterator[Fired]:
        for name, standing in self.standings.items():
            if standing.phase in (Phase.FIRING, Phase.RECOVERING):
                one = self.last[name]
                own = {key: texts.fill(text, one.labels, one.value) for key, text in self.rule.written_labels.items()}
                labels = {key: text for key, text in (one.labels | own).items() if text}
                seen = one.labels | own | {"alertname": self.rule.alert}
                said = {key: texts.fill(text, seen, one.value) for key, text in self.rule.annotations.items()}
                yield Fired.of(labels | {"alertname": self.rule.alert}, said)


def _as_rule(declared: Declared) -> Rule:
    """Not to be saved. Its source is whichever Prometheus the test starts."""
    own = {"query": declared.meaning.query, "detector": declared.meaning.detector, "params": declared.meaning.params}
    return Rule(name=declared.name, source=Source(name="test"), **own, **declared.further.values())


def _fetched(client: Prometheus, asked: Asked, at: float) -> Matrix:
    if asked.detector.source == "alerts":
        raise ConfigurationError("it judges alerts, and series cannot say which alerts there are")
    # Without asking whether the source is alive: here it is.
    return window.fetch(client, replace(asked.question, needs_liveness=False), now=at)


def _listed(word: str, fired: list[Fired]) -> list[str]:
    if not fired:
        return [f"    {word}: []"]
    return [f"    {word}: [", *(f"        {number}: {one}" for number, one in enumerate(fired)), "    ]"]
