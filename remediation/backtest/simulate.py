"""What a playbook would have done about the episodes of a backtest, on a simulated clock. Nothing is touched.

The record is taken as it is: an action is assumed to change none of the samples. So an action that comes while the
fault lasts is followed by the next rung, as if it had not helped: what is counted is the most that would be done.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count

from remediation import conf, matchers, registry
from remediation.backtest.asking import Asking
from remediation.backtest.guards import SIMULATED as SIMULATED_GUARDS
from remediation.backtest.guards import Effect, No, refusals
from remediation.backtest.outcome import SIMULATED, Action, Episode, Hold, Simulated
from remediation.backtest.record import NEVER, ServiceRecord, approval_time, first_incident_at
from remediation.decide.ladder import Stop, next_rung
from remediation.decide.match import select_targets, service_of
from remediation.deciding import LOOK_AGAIN
from remediation.exceptions import ConfigurationError, MatcherError
from remediation.models import Incident, Playbook, Remediation, Rule, Service, Step, Target
from remediation.states import Autonomy, RemediationState, Verdict
from remediation.verify.recovery import GRACE_S

MAX_ACTIONS = 2000
"""Where more would be taken something is wrong with the rule; then the rest is not simulated."""

STATES = {
    "over": RemediationState.VERIFIED,
    "still_there": RemediationState.INEFFECTIVE,
    "inconclusive": RemediationState.INCONCLUSIVE,
    "self_recovered": RemediationState.SELF_RECOVERED,
    "expired": RemediationState.EXPIRED,
}


@dataclass
class Case:
    """One firing episode, with what was done about it so far."""

    episode: Episode
    incident: Incident
    record: ServiceRecord
    past: list[Remediation] = field(default_factory=list)
    acted: bool = False
    tried: bool = False
    person: str = ""

    def ended(self, at: float) -> bool:
        return self.episode.ended_at is not None and at >= self.episode.ended_at

    def verdict(self, at: float) -> str:
        if self.ended(at):
            return Verdict.OK
        return next((run.verdict for run in reversed(self.episode.stretches) if run.start <= at), Verdict.BAD)

    def next_known(self, at: float, wanted: Sequence[str]) -> float | None:
        """When the verdict is next one of these; None when it never is again in this episode."""
        if self.verdict(at) in wanted:
            return at
        return next((run.start for run in self.episode.stretches if run.start > at and run.verdict in wanted), None)


@dataclass
class Attempt:
    """A remediation that is simulated."""

    case: Case
    step: Step
    attempt: int
    targets: list[Target]
    planned_at: float
    holds: list[Hold] = field(default_factory=list)
    approved_at: float | None = None
    expires_at: float | None = None
    effect_at: float | None = None

    @property
    def target_ids(self) -> frozenset[int]:
        return frozenset(target.pk for target in self.targets)


class Simulation:
    """A queue of moments; each looks at one attempt or episode and says when to look again."""

    def __init__(self, rule: Rule, playbook: Playbook, *, start: float, end: float) -> None:
        self.rule, self.playbook, self.start, self.end = rule, playbook, start, end
        self.steps = list(playbook.steps.order_by("position"))
        self.autonomy = Autonomy.AUTO if playbook.autonomy == Autonomy.SHADOW else Autonomy(playbook.autonomy)
        self.approval = approval_time(playbook)
        self.reach_s = Asking(rule).reach_s
        self.records: dict[int | None, ServiceRecord] = {}
        self.services = list(Service.objects.all())
        self.cases: list[Case] = []
        self.actions: list[Action] = []
        self.effects: dict[int | None, list[Effect]] = {}
        self.held: dict[int, Attempt] = {}
        self.durations: dict[tuple[int | None, int], float] = {}
        self.assumed: list[str] = []
        self.unserved = 0
        self._queue: list[tuple[float, int, Callable[[float], None]]] = []
        self._order = count()

    def run(self, episodes: Sequence[Episode]) -> Simulated:
        for episode in episodes:
            if episode.firing_at is not None:
                self._enter(episode, episode.firing_at)
        while self._queue and len(self.actions) < MAX_ACTIONS:
            at, _, look = heapq.heappop(self._queue)
            look(at)
        return self._result()

    def _at(self, at: float, look: Callable[[float], None]) -> None:
        heapq.heappush(self._queue, (at, next(self._order), look))

    # --- deciding ---

    def _enter(self, episode: Episode, firing_at: float) -> None:
        labels = {**episode.labels, **self.rule.labels}
        service = self.rule.service or service_of(labels, self.services)
        labels |= {"alertname": self.rule.name, "severity": self.rule.severity}
        if service is not None:
            labels |= {"service": service.name} | ({"team": service.team} if service.team else {})
        if not self._serves(labels):
            self.unserved += 1
            return
        case = Case(episode, Incident(labels=labels, service=service), self.record_of(service))
        self.cases.append(case)
        self._at(firing_at, lambda at: self._decide(case, at))

    def _serves(self, labels: dict[str, str]) -> bool:
        try:
            return matchers.matches(self.playbook.matchers, labels)
        except MatcherError:
            return False

    def record_of(self, service: Service | None) -> ServiceRecord:
        key = service.pk if service else None
        if key not in self.records:
            self.records[key] = ServiceRecord(self.rule, service, start=self.start, end=self.end)
        return self.records[key]

    def _decide(self, case: Case, now: float) -> None:
        if case.ended(now) or now >= self.end:
            return
        if case.verdict(now) != Verdict.BAD:  # unknown, or on its way to being over: neither is a reason to act
            again = case.next_known(now, (Verdict.BAD,))
            if again is not None:
                self._at(again, lambda at: self._decide(case, at))
            return
        rung = next_rung(self.steps, case.past, bad_again=True)
        if isinstance(rung, Stop):
            case.person = rung.reason
            return
        try:
            targets = select_targets(
                case.incident, case.record.targets, select=rung.step.select, at_most=rung.step.max_targets
            )
        except ConfigurationError as error:
            case.person = str(error)
            self._impossible(case, rung.step, now)
            return
        if any(target.pk in self.held for target in targets):  # attached: another attempt has this target
            self._at(now + LOOK_AGAIN.total_seconds(), lambda at: self._decide(case, at))
            return
        attempt = Attempt(case, rung.step, rung.attempt, targets, now)
        case.tried = True
        self.held |= dict.fromkeys(attempt.target_ids, attempt)
        self._gate(attempt, now)

    def _impossible(self, case: Case, step: Step, now: float) -> None:
        nothing = Attempt(case, step, 1, [], now)
        self._note(nothing, "impossible", now, case.person)

    # --- gating ---

    def _gate(self, attempt: Attempt, now: float) -> None:
        if self._over_first(attempt, now):
            return
        said = self._refusals(attempt, now)
        if said:
            until = min(max(no.until for no in said), self._horizon(attempt.case))
            self._hold(attempt, said, now, until)
            self._at(max(until, now + conf.GATE_RECHECK_S), lambda at: self._gate(attempt, at))
        elif self.autonomy == Autonomy.AUTO or attempt.approved_at is not None:
            self._effect(attempt, now)
        else:
            self._ask(attempt, now)

    def _refusals(self, attempt: Attempt, now: float) -> list[No]:
        case = attempt.case
        simulated = self.effects.get(self._key(case), [])
        said = refusals(attempt.step, case.record, simulated, attempt.target_ids, now=now)
        if case.verdict(now) == Verdict.UNKNOWN:
            until = case.next_known(now, (Verdict.BAD, Verdict.OK)) or case.episode.ended_at or NEVER
            reason = "the last verdict is unknown, and unknown never acts"
            said.append(No(guard="stale", reason=reason, until=until))
        return said

    def _hold(self, attempt: Attempt, said: list[No], now: float, until: float) -> None:
        for no in said:
            end = min(no.until, until)
            before = next((one for one in attempt.holds if one.guard == no.guard and one.end >= now), None)
            start, reason = (before.start, before.reason) if before else (now, no.reason)
            if before is not None:
                attempt.holds.remove(before)
            attempt.holds.append(Hold(guard=no.guard, label=no.label, reason=reason, start=start, end=end))

    def _ask(self, attempt: Attempt, now: float) -> None:
        """Ask a person, who is assumed to approve after as long as approvals take."""
        expires = attempt.expires_at = attempt.expires_at or now + float(attempt.step.approval_ttl_s)
        answered = now + self.approval.seconds * attempt.step.approvals

        def later(at: float) -> None:
            if self._over_first(attempt, at):
                return
            if at >= expires:
                self._finish(attempt, "expired", at, "nobody answered in time")
                attempt.case.person = "it was not answered in time"
                return
            attempt.approved_at = at
            self._gate(attempt, at)

        self._at(min(answered, expires, self._horizon(attempt.case)), later)

    def _over_first(self, attempt: Attempt, now: float) -> bool:
        """Whether the fault, or the range, ended before anything was done."""
        if attempt.case.ended(now):
            self._finish(attempt, "self_recovered", attempt.case.episode.ended_at or now)
            return True
        if now >= self.end:
            self._finish(attempt, "held" if attempt.holds and attempt.approved_at is None else "waiting", self.end)
            return True
        return False

    # --- the effect and its proof ---

    def _effect(self, attempt: Attempt, now: float) -> None:
        case = attempt.case
        if case.verdict(now) == Verdict.OK:  # asked again just before the effect
            self._finish(attempt, "self_recovered", now)
            return
        attempt.effect_at = now
        case.acted = True
        done = now + self._duration(attempt)
        outcome, over_at = self._proof(attempt, done)
        text = f"{attempt.step.verb} {', '.join(target.name for target in attempt.targets)}"
        effect = Effect(start=now, end=over_at, target_ids=attempt.target_ids, text=text)
        self.effects.setdefault(self._key(case), []).append(effect)
        self._at(over_at, lambda at: self._finish(attempt, outcome, at))

    def _duration(self, attempt: Attempt) -> float:
        key = (self._key(attempt.case), attempt.step.pk)
        if key not in self.durations:
            guess = attempt.case.record.effect(attempt.step)
            self.durations[key] = guess.seconds
            self.assumed.append(f"An effect takes {guess.seconds:.1f} s ({guess.source}).")
        return self.durations[key]

    def _proof(self, attempt: Attempt, done: float) -> tuple[str, float]:
        """What verifying would have come to, by the recorded verdicts, and when."""
        step, case = attempt.step, attempt.case
        begin = done + float(step.settle_s) + self.reach_s
        deadline = begin + float(step.verify_within_s) + GRACE_S
        needed_s = (step.good_samples - 1) * conf.VERIFY_EVERY_S
        for start, end in self._good_runs(case):
            proved = max(start, begin) + needed_s
            if proved <= min(end, deadline):
                return "over", proved
        verdict = case.verdict(deadline)
        return ("still_there" if verdict == Verdict.BAD else "inconclusive"), deadline

    def _good_runs(self, case: Case) -> list[tuple[float, float]]:
        runs = [(run.start, run.end) for run in case.episode.stretches if run.verdict == Verdict.OK]
        ended = case.episode.ended_at
        if ended is not None:  # good from its last run of good verdicts on
            start = runs.pop()[0] if runs and runs[-1][1] >= ended else ended
            runs.append((start, NEVER))
        return runs

    def _finish(self, attempt: Attempt, outcome: str, at: float, reason: str = "") -> None:
        case = attempt.case
        self.held = {target: holder for target, holder in self.held.items() if holder is not attempt}
        self._note(attempt, outcome, at, reason)
        if outcome not in STATES:
            return
        case.past.append(
            Remediation(
                position=attempt.step.position,
                attempt=attempt.attempt,
                verb=attempt.step.verb,
                state=STATES[outcome],
                reason=SIMULATED[outcome],
                effect_started_at=None if attempt.effect_at is None else datetime.fromtimestamp(attempt.effect_at, UTC),
            )
        )
        if not case.ended(at) and outcome != "expired":
            self._at(at, lambda then: self._decide(case, then))

    def _note(self, attempt: Attempt, outcome: str, at: float, reason: str) -> None:
        over_at = min(at, self.end)
        self.actions.append(
            Action(
                fingerprint=attempt.case.episode.fingerprint,
                verb=attempt.step.verb,
                targets=tuple(target.name for target in attempt.targets),
                position=attempt.step.position,
                attempt=attempt.attempt,
                planned_at=attempt.planned_at,
                effect_at=attempt.effect_at,
                over_at=over_at,
                outcome="waiting" if at > self.end else outcome,
                reason=reason or SIMULATED[outcome],
                only_if=any(one.state == RemediationState.INEFFECTIVE for one in attempt.case.past),
                holds=tuple(
                    Hold(guard=h.guard, label=h.label, reason=h.reason, start=h.start, end=min(h.end, over_at))
                    for h in attempt.holds
                ),
            )
        )

    def _horizon(self, case: Case) -> float:
        return min(self.end, case.episode.ended_at or NEVER)

    @staticmethod
    def _key(case: Case) -> int | None:
        return case.incident.service.pk if case.incident.service else None

    # --- the sum ---

    def _result(self) -> Simulated:
        tried = [case for case in self.cases if case.tried]
        return Simulated(
            playbook=self.playbook.name,
            autonomy=self.autonomy,
            actions=tuple(sorted(self.actions, key=lambda one: (one.planned_at, one.position))),
            fired=len(self.cases),
            unserved=self.unserved,
            acted=sum(case.acted for case in self.cases),
            ended_first=sum(not case.acted and case.episode.ended_at is not None for case in tried),
            held=sum(bool(action.holds) for action in self.actions),
            needs_person=sum(bool(case.person) for case in self.cases),
            assumptions=tuple(self._assumptions()),
        )

    def _assumptions(self) -> list[str]:
        told = [
            "Simulated, nothing was touched. No action is assumed to change the recorded samples, so a step that comes "
            "while the fault lasts is followed by the next one, as if it had not helped: this is the most that would "
            "have been done."
        ]
        if self.playbook.autonomy == Autonomy.SHADOW:
            told.append("The playbook is in shadow; it is simulated as if it acted by itself.")
        if self.autonomy == Autonomy.APPROVE:
            told.append(f"An approval takes {self.approval.seconds:.0f} s ({self.approval.source}).")
        told += self.assumed + self._dependency_words()
        others = sorted(registry.guards().keys() - set(SIMULATED_GUARDS))
        if others:
            told.append(f"Not simulated: the guards {', '.join(others)}.")
        told.append("Freezes, and effects that other rules had on the service, are as they were recorded.")
        if len(self.actions) >= MAX_ACTIONS:
            told.append(f"Stopped after {MAX_ACTIONS} actions.")
        return told

    def _dependency_words(self) -> list[str]:
        depends = any(record.depends for record in self.records.values())
        if not depends:
            return (
                ["The dependency guard has nothing to hold: no service here depends on another."] if self.cases else []
            )
        since = first_incident_at()
        if since is None or since >= self.end:
            return ["Not simulated: the dependency guard, since no incident of that time is recorded."]
        text = "The dependency guard is simulated from the incidents that were recorded"
        late = since > self.start
        return [f"{text}; for the time before the first of them nothing is known." if late else f"{text}."]
