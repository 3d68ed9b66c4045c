"""What must hold whatever was killed: ledger and database compared. Knows nothing of how the loop comes to it.

Each check gets one Record and gives sentences, one a violation.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from itertools import pairwise

from remediation.states import INCIDENT_MOVES, REMEDIATION_LIVE, REMEDIATION_MOVES, IncidentState, RemediationState
from tests.faults.ledger import Record, Row

FREEZE_S = 2.0
UNKNOWN_S = 65.0
"""A probe is asked for 60 s, every 2 s; the rest is for a busy machine."""
CLOCK_S = 0.05
"""Both clocks are the same one; this is for what a file system rounds."""
R = RemediationState
UNTOUCHED = {R.FAILED, R.SELF_RECOVERED, R.SUPERSEDED, R.EXPIRED, R.REJECTED, R.CANCELLED, R.SHADOWED}
"""Ends that say that nothing was done."""
ACTED = {R.VERIFIED, R.INEFFECTIVE, R.WORSENED, R.ROLLED_BACK}
"""States that say that something was done."""
MOVES = {"incident": INCIDENT_MOVES, "remediation": REMEDIATION_MOVES}
STATES: dict[str, set[str]] = {"incident": set(IncidentState), "remediation": set(RemediationState)}


def violations(record: Record) -> list[str]:
    return [f"{check.__name__.replace('_', ' ')}: {text}" for check in CHECKS for text in check(record)]


def doubled_effect(record: Record) -> Iterator[str]:
    """One idempotency key is used once."""
    for key, count in Counter(line["key"] for line in record.effects).items():
        if count > 1:
            yield f"{count} effects with the key {key}"


def second_effect_of_one_attempt(record: Record) -> Iterator[str]:
    found = Counter((line["key"].split(":")[0], line["service"]) for line in record.effects)
    for (key, service), count in found.items():
        if count > 1:
            yield f"{count} effects on {service} by one remediation ({key})"


def effect_without_intent(record: Record) -> Iterator[str]:
    """Each effect belongs to a remediation that said so first, with this key and a fencing number."""
    rows = _by_key(record)
    for line in record.effects:
        row = rows.get(_key(line))
        if row is None:
            yield f"an effect on {line['service']} with the key {line['key']}, which no remediation has"
            continue
        if not any(_is_intent(move, row, line) for move in _moves(record, "remediation")[row["id"]]):
            yield f"an effect of remediation {row['id']} without an intent committed before it"


def _is_intent(move: Row, row: Row, line: Row) -> bool:
    facts = move["facts"]
    same = move["to_state"] == R.EXECUTING and facts.get("key") == row["key"]
    return bool(same and 1 <= facts.get("fence", 0) <= row["fence"] and move["at"] <= line["at"] + CLOCK_S)


def done_and_told_as_not_done(record: Record) -> Iterator[str]:
    done = Counter(_key(line) for line in record.effects)
    for row in record.remediations:
        if done[row["key"]] and row["state"] in UNTOUCHED:
            yield f"remediation {row['id']} is {row['state']}, and its effect is in the ledger"
        if not done[row["key"]] and row["state"] in ACTED:
            yield f"remediation {row['id']} is {row['state']}, and no effect is in the ledger"


def unsettled(record: Record) -> Iterator[str]:
    """Unknown does not last, and neither does an effect that nobody reported."""
    for row in record.remediations:
        if row["state"] in (R.UNKNOWN, R.EXECUTING) and record.now - row["state_since"] > UNKNOWN_S:
            yield f"remediation {row['id']} has been {row['state']} for {record.now - row['state_since']:.0f} s"
        moves = [move for move in _moves(record, "remediation")[row["id"]] if move["to_state"] in STATES["remediation"]]
        for one, following in pairwise(moves):
            if one["to_state"] in (R.UNKNOWN, R.EXECUTING) and following["at"] - one["at"] > UNKNOWN_S:
                yield f"remediation {row['id']} was {one['to_state']} for {following['at'] - one['at']:.0f} s"


def effect_without_approval(record: Record) -> Iterator[str]:
    rows = _by_key(record)
    for line in record.effects:
        row = rows.get(_key(line))
        if row is None or row["autonomy"] == "auto":
            continue
        signed = {
            one["user_id"]
            for one in record.approvals
            if (one["remediation_id"], one["answer"], one["digest"]) == (row["id"], "approve", row["digest"])
            and one["at"] <= line["at"] + CLOCK_S
        }
        if len(signed) < row["approvals_needed"]:
            yield f"an effect of remediation {row['id']} with {len(signed)} of {row['approvals_needed']} approvals"


def effect_while_frozen(record: Record) -> Iterator[str]:
    for freeze in record.freezes:
        ends = min(one for one in (freeze["lifted_at"], freeze["until"], record.now) if one is not None)
        for line in record.effects:
            here = freeze["service__name"] in (None, line["service"])
            if here and freeze["at"] + FREEZE_S < line["at"] < ends:
                late = line["at"] - freeze["at"]
                yield f"an effect on {line['service']} {late:.1f} s after the freeze {freeze['id']}"


def episode_without_its_decision(record: Record) -> Iterator[str]:
    found = Counter(one["incident_id"] for one in record.decisions)
    closed = {one["incident_id"] for one in record.decisions if one["closed_at"] is not None}
    acted = {one["incident_id"] for one in record.decisions if one["outcome"] == "acted"}
    with_effect = {row["incident_id"] for row in record.remediations if row["effect_started_at"] is not None}
    for row in record.incidents:
        if row["fired_at"] is None:
            continue
        if found[row["id"]] > 1:
            yield f"incident {row['id']} has {found[row['id']]} decision records"
        if row["state"] == IncidentState.RESOLVED and row["id"] not in closed:
            yield f"incident {row['id']} is over and has no closed decision record"
        if row["state"] == IncidentState.RESOLVED and row["id"] in with_effect - acted:
            yield f"incident {row['id']} was acted on, and its decision record does not say so"


def illegal_walk(record: Record) -> Iterator[str]:
    """Each state follows from the one before by a move that exists, and the last one is where the row is."""
    for kind, rows in (("incident", record.incidents), ("remediation", record.remediations)):
        moves = _moves(record, kind)
        for row in rows:
            state = ""
            for move in moves[row["id"]]:
                if move["to_state"] not in STATES[kind]:
                    continue  # something that happened to it, and no change of its state
                to, legal = move["to_state"], MOVES[kind].get(state, frozenset())
                if move["from_state"] != state or (state and to not in legal):
                    told = move["from_state"] or "·"
                    yield f"{kind} {row['id']} went from {told} to {to} while it was {state or '·'}"
                state = to
            if state != row["state"]:
                yield f"{kind} {row['id']} is {row['state']}, and its history ends with {state or 'nothing'}"


def resolved_without_good_samples(record: Record) -> Iterator[str]:
    """By what was true in the shop: it was well at some moment of the episode."""
    for row in record.incidents:
        if row["state"] != IncidentState.RESOLVED or row["rule__detector"] == "firing_alert" or row["fired_at"] is None:
            continue
        lines = [one for one in record.health if one["service"] == row["service__name"]]
        if not lines:
            continue
        within = [one["up"] for one in lines if row["fired_at"] <= one["at"] <= row["resolved_at"]]
        before = [one["up"] for one in lines if one["at"] < row["fired_at"]]
        if not any(up == 1.0 for up in [*within, *before[-1:]]):
            yield f"incident {row['id']} was resolved, and {row['service__name']} was never well meanwhile"


def two_at_once(record: Record) -> Iterator[str]:
    """One live remediation per target, one open incident per series."""
    states = {row["id"]: row["state"] for row in record.remediations}
    held = Counter(one["target_id"] for one in record.holds if states.get(one["remediation_id"]) in REMEDIATION_LIVE)
    yield from (f"{count} live remediations of target {target}" for target, count in held.items() if count > 1)
    unresolved = [row for row in record.incidents if row["state"] != IncidentState.RESOLVED]
    found = Counter((row["rule_id"], row["fingerprint"]) for row in unresolved)
    yield from (
        f"{count} open incidents of series {name} of rule {rule}" for (rule, name), count in found.items() if count > 1
    )


CHECKS: tuple[Callable[[Record], Iterator[str]], ...] = (
    doubled_effect,
    second_effect_of_one_attempt,
    effect_without_intent,
    done_and_told_as_not_done,
    unsettled,
    effect_without_approval,
    effect_while_frozen,
    episode_without_its_decision,
    illegal_walk,
    resolved_without_good_samples,
    two_at_once,
)


def _key(line: Row) -> str:
    """Of the remediation: the rest of a line's key is the target."""
    return str(line["key"]).split(":")[0]


def _by_key(record: Record) -> dict[str, Row]:
    return {row["key"]: row for row in record.remediations}


def _moves(record: Record, kind: str) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = defaultdict(list)
    for move in record.transitions:
        if move["kind"] == kind:
            found[move["object_id"]].append(move)
    return found
