"""The machine of test_invariants, begun where the trouble is: what each invariant rests on has to be met at once."""

from __future__ import annotations

import pytest

from tests.remediation.test_invariants import APP_DOWN, BACKLOG, KILLED, Nudges, run
from tests.remediation.world import World

SOON: Nudges = (("tick", {"seconds": 1, "times": 3}),)
LATER: Nudges = (("tick", {"seconds": 45, "times": 3}),)
BEGINNINGS: dict[str, Nudges] = {
    "one live remediation": APP_DOWN,
    "history": BACKLOG,
    "an intent": BACKLOG,
    "a freeze": (("freeze", {"lift": False}), *BACKLOG),
    "the end of an alert": (*KILLED, ("pool", {"depth": 1}), *SOON, *LATER),
    "asked again": (*APP_DOWN, ("apps", {"one": 1, "two": 1}), ("answer", {"reject": False})),
    "no samples": (*BACKLOG, ("pool", {"depth": None}), *SOON, *LATER),
    "a crash": (*KILLED, *SOON, *LATER),
}


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_from_where_the_trouble_is_the_invariants_hold(world: World, beginning: str) -> None:
    run(world, examples=2, steps=10, nudges=BEGINNINGS[beginning])
