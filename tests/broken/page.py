"""docs/invariants.md, from the table of clauses: `python -m tests.broken --page` writes it anew."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.broken.clauses import CLAUSES
from tests.broken.variant import Clause

ROOT = Path(__file__).resolve().parents[2]
PATH = ROOT / "docs" / "invariants.md"

INVARIANTS: dict[int, str] = {
    1: "One live remediation per target; a duplicate attaches to it. A unique partial index says so.",
    2: "A state changes only by compare-and-set, in one function, which writes the Transition in the same transaction.",
    3: "No effect without a committed intent carrying an idempotency key and a fencing number; a worker whose lease "
    "has passed may not report success.",
    4: "Cooldowns, budgets, breakers, approvals, timers are rows. Killing every process at any instant loses none.",
    5: "A guard that cannot be evaluated says no.",
    6: "Freeze is read in the transaction that enters `executing`. It stops new effects within 2 s; it never kills "
    "one midway.",
    7: "Targets being acted on count as unavailable in every budget.",
    8: "The end of an alert never kills a running step.",
    9: "The webhook answers 2xx once stored, whatever happens next, and is idempotent on fingerprint + startsAt + "
    "status.",
    10: "An approval fits one digest, once, before it expires, by someone allowed to and other than the proposer "
    "where the step asks for two people. Expired is not rejected.",
    11: "After approval, and just before the effect, the condition is asked again: healed means self_recovered, "
    "changed means superseded.",
    12: "No samples is never verified. The verifying window does not reach back before the effect, and needs "
    "several consecutive good samples.",
    13: "Ineffective, worsened, inconclusive, failed and unknown feed the breaker. Only verified resets it.",
    14: "A crash in the middle of an effect gives unknown; `probe()` asks the world what happened. Only what did "
    "not start is retried.",
    15: "Alerts on the target and its dependants while it is being repaired attach to the remediation.",
    16: "A dependency's open incident holds automation on its dependants: the cause is repaired, not the victims.",
    17: "An edited rule or playbook is a new version, loses `auto`, and never changes what is in flight.",
    18: "When too large a share of targets goes bad at once, the observer is the likelier fault: nothing automatic "
    "runs until it is healthy and has stayed so.",
    19: 'Every firing episode ends in one decision record, including "did nothing, because".',
    20: "The loop watches itself: a heartbeat per stage, oldest waiting row, a banner and a metric when it stalls.",
}

TOP = """# The invariants, and what proves them

Each of the twenty holds by the code that is named here, and by a test that fails when that code is broken. To see it,
`make invariants` (one to three minutes, {runs} runs) takes every test as the product is, when it has to pass, and once
more with each of the broken products of the last column, when it has to say itself that something does not hold. A part
of that is in the fast suite (`tests/broken/test_broken.py`).

A broken product is a patch of one function or of one attribute, in `tests/broken/clauses/`. Where the product has
changed so that a patch no longer fits, `make invariants` says so: mend the patch, for it proves nothing as it is. Who
adds a clause adds a test and at least one way to break it, and writes this page anew:
`.venv/bin/python -m tests.broken --page`. One invariant or one broken product by itself:
`make invariants ARGS="--only 6"`, `make invariants ARGS='--variant "freeze is not asked"'`.

Beside these, `make faults` kills, cuts and fills up the real processes and compares ledger and database
([faults.md](faults.md)); 1, 3, 4, 6, 8, 12 and 14 are held against it as well.
"""


def text(clauses: Sequence[Clause] = CLAUSES) -> str:
    runs = sum(1 + len(clause.variants) for clause in clauses)
    parts = [TOP.format(runs=runs)]
    for number, group in itertools.groupby(clauses, key=lambda one: one.number):
        parts.append(f"## {number}. {INVARIANTS[number]}\n\n" + _table(group))
    return "\n".join(parts)


def _table(clauses: Iterable[Clause]) -> str:
    rows = [("clause", "what holds it", "test", "broken, and found out")]
    rows.append(("---",) * 4)
    rows += [
        (
            clause.says,
            "<br>".join(f"`{file}`" for file in clause.held_by),
            f"`{clause.node.removeprefix('tests/')}`",
            "<br>".join(variant.name for variant in clause.variants),
        )
        for clause in clauses
    ]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
