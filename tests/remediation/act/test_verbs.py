"""The verbs on a backend of our own: what they plan, what they find, what they let through."""

from __future__ import annotations

from typing import Any

import pytest

from remediation import registry
from remediation.act.base import Verb
from remediation.act.failover import Failover
from remediation.act.restart import Restart
from remediation.act.run import Run
from remediation.act.scale import Scale, ScaleParams, wanted_size
from remediation.exceptions import ConfigurationError, EffectError, EffectNotStarted, EffectUncertain, OwnProcess
from remediation.targets.base import (
    Attempt,
    Backend,
    Call,
    Effect,
    Facts,
    FailsOver,
    Found,
    Restartable,
    Runs,
    Scalable,
    TargetRef,
)  # fmt: skip

TARGET = TargetRef(id=1, name="web", service="shop", backend="toy", params=registry.Params())
ATTEMPT = Attempt(key="key-1", fence=1, timeout_s=5)


class Toy(Restartable, Scalable, FailsOver, Runs, Backend):
    """Keeps its state in a dict and does what it is told, or breaks as it is told."""

    label = "Toy"

    def __init__(self, **state: Any) -> None:
        self.now: dict[str, Any] = {"state": "RUNNING", "pid": 1, "size": 2, "active": "a"} | state
        self.breaks: Exception | None = None
        self.ran_with: list[Facts] = []

    def do(self, **change: Any) -> Effect:
        if self.breaks:
            raise self.breaks
        self.now |= change
        return Effect(output="done")

    def state(self, target: TargetRef, *, timeout_s: float = 5.0) -> Facts:
        return dict(self.now)

    def check(self, target: TargetRef, *, timeout_s: float = 5.0) -> None: ...

    def restart(self, target: TargetRef, attempt: Attempt) -> Effect:
        return self.do(state="RUNNING", pid=self.now["pid"] + 1)

    def restart_text(self, target: TargetRef) -> str:
        return f"restart {target.name}"

    def limits(self, target: TargetRef) -> tuple[int, int]:
        return 1, 4

    def size(self, target: TargetRef, *, timeout_s: float = 5.0) -> int:
        return int(self.now["size"])

    def resize(self, target: TargetRef, size: int, attempt: Attempt) -> Effect:
        return self.do(size=size)

    def resize_text(self, target: TargetRef, size: int) -> str:
        return f"scale {target.name} to {size}"

    def active(self, target: TargetRef, *, timeout_s: float = 5.0) -> str:
        return str(self.now["active"])

    def standby(self, target: TargetRef, *, timeout_s: float = 5.0) -> str:
        return {"a": "b", "b": "a"}[self.now["active"]]

    def switch(self, target: TargetRef, *, away_from: str, towards: str, attempt: Attempt) -> Effect:
        return self.do(active=towards)

    def switch_text(self, target: TargetRef, *, away_from: str, towards: str) -> str:
        return f"switch {target.name} from {away_from} to {towards}"

    def run(self, target: TargetRef, arguments: Facts, attempt: Attempt) -> Effect:
        self.ran_with.append(arguments)
        return self.do()

    def run_text(self, target: TargetRef, arguments: Facts) -> str:
        return f"run {target.name}"


class Plain(Backend):
    """Can be looked at and nothing else."""

    label = "Plain"

    def state(self, target: TargetRef, *, timeout_s: float = 5.0) -> Facts:
        return {}

    def check(self, target: TargetRef, *, timeout_s: float = 5.0) -> None: ...


VERBS: list[Verb] = [Restart(), Scale(), Failover(), Run()]


def plan(verb: Verb, toy: Backend, **params: Any) -> Call:
    return verb.preview(toy, TARGET, verb.parse(params))


@pytest.mark.parametrize(
    ("verb", "call"),
    [
        (Restart(), Call(target="web", text="restart web", before={}, after={"state": "RUNNING", "pid": "a new one"})),
        (Scale(), Call(target="web", text="scale web to 3", before={}, after={"size": 3}, undo="scale web to 2",
                       arguments={"from": 2, "to": 3})),
        (Failover(), Call(target="web", text="switch web from a to b", before={}, after={"active": "b"},
                          undo="switch web from b to a", arguments={"away_from": "a", "towards": "b"})),
        (Run(), Call(target="web", text="run web", before={}, after={})),
    ],
)  # fmt: skip
def test_preview_says_the_exact_call_and_touches_nothing(verb: Verb, call: Call) -> None:
    toy = Toy()
    planned = plan(verb, toy)
    assert planned.before == toy.now == Toy().now
    assert (planned.text, planned.after, planned.undo, planned.arguments) == (
        call.text, call.after, call.undo, call.arguments,
    )  # fmt: skip


@pytest.mark.parametrize("verb", VERBS[:3])
def test_probe_tells_before_from_after(verb: Verb) -> None:
    toy = Toy()
    call = plan(verb, toy)
    assert verb.probe(toy, TARGET, call).done is False
    verb.execute(toy, TARGET, call, ATTEMPT)
    assert verb.probe(toy, TARGET, call).done is True


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb.supports_undo])
def test_undo_brings_back_what_was_before(verb: Verb) -> None:
    toy = Toy()
    call = plan(verb, toy)
    verb.execute(toy, TARGET, call, ATTEMPT)
    verb.undo(toy, TARGET, call, ATTEMPT)
    assert toy.now == call.before
    assert verb.probe(toy, TARGET, call).done is False


@pytest.mark.parametrize(
    ("verb", "between"),
    [
        (Restart(), {"state": "STOPPED", "pid": 0}),
        (Restart(), {"state": "STARTING", "pid": 2}),
        (Restart(), {"state": "FATAL", "pid": 0}),
        (Restart(), {"state": "STOPPING"}),
        (Scale(), {"size": 1}),
        (Failover(), {"active": ""}),
        (Failover(), {"admin": "changed"}),
        (Run(), {}),
    ],
)
def test_probe_of_anything_between_cannot_tell(verb: Verb, between: dict[str, Any]) -> None:
    toy = Toy()
    call = plan(verb, toy)
    toy.now |= between
    assert verb.probe(toy, TARGET, call).done is None


def test_probe_of_a_process_that_did_not_run_before() -> None:
    toy = Toy(state="EXITED", pid=0)
    call = plan(Restart(), toy)
    assert Restart().probe(toy, TARGET, call).done is False
    toy.now |= {"state": "RUNNING", "pid": 5}
    assert Restart().probe(toy, TARGET, call) == Found(done=True, reason="a new process runs", facts=toy.now)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    ("breaks", "raises"),
    [
        (EffectNotStarted("no"), EffectNotStarted),
        (EffectUncertain("who knows"), EffectUncertain),
        (ConfigurationError("wrong"), EffectNotStarted),
        (OwnProcess("mine"), EffectNotStarted),
        (KeyError("a mistake"), EffectUncertain),
        (TimeoutError(), EffectUncertain),
    ],
)
def test_execute_always_says_whether_it_may_have_happened(
    verb: Verb, breaks: Exception, raises: type[EffectError]
) -> None:
    toy = Toy()
    call = plan(verb, toy)
    toy.breaks = breaks
    with pytest.raises(EffectError) as caught:
        verb.execute(toy, TARGET, call, ATTEMPT)
    assert type(caught.value) is raises


@pytest.mark.parametrize("verb", VERBS)
def test_a_backend_that_cannot_is_refused(verb: Verb) -> None:
    with pytest.raises(ConfigurationError, match=f"Plain cannot {verb.name}: choose another backend or verb"):
        plan(verb, Plain())


@pytest.mark.parametrize(
    ("params", "size", "wanted"),
    [
        ({}, 2, 3),
        ({"by": 5}, 2, 4),
        ({"by": -1}, 2, 1),
        ({"by": -9}, 4, 1),
        ({"by": 1}, 0, 1),
        ({"by": 5, "maximum": 3}, 2, 3),
        ({"by": -5, "minimum": 2}, 4, 2),
        ({"to": 4}, 2, 4),
        ({"to": 9}, 2, 4),
        ({"to": 0}, 2, 1),
        ({"to": 3}, 4, 3),
    ],
)
def test_the_size_to_go_to_stays_inside_all_limits(params: dict[str, int], size: int, wanted: int) -> None:
    assert wanted_size(ScaleParams(**params), size, (1, 4)) == wanted


@pytest.mark.parametrize(
    ("params", "size", "message"),
    [
        ({}, 4, "4 run already; 1 to 4 are allowed and 5 were asked for"),
        ({"by": -1}, 1, "1 run already; 1 to 4 are allowed and 0 were asked for"),
        ({"to": 2}, 2, "2 run already"),
        ({"maximum": 2}, 2, "1 to 2 are allowed and 3"),
        ({"maximum": 2}, 3, "3 run already; 1 to 2 are allowed and 4"),
        ({"by": -1, "minimum": 3}, 2, "2 run already; 3 to 4 are allowed and 1"),
        ({"minimum": 6}, 2, "the step allows 6 to 4 members, the target 1 to 4"),
    ],
)
def test_nothing_to_scale_is_said_with_its_numbers(params: dict[str, int], size: int, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        wanted_size(ScaleParams(**params), size, (1, 4))


def test_failover_without_anyone_serving_is_a_person_s_case() -> None:
    with pytest.raises(EffectNotStarted, match="no member of web serves now"):
        plan(Failover(), Toy(active=""))


def test_run_hands_its_arguments_over_as_they_are() -> None:
    toy, arguments = Toy(), {"label": "; reboot $(x) {{7*7}}", "count": 3, "dry": True, "share": 0.5}
    call = plan(Run(), toy, arguments=arguments)
    Run().execute(toy, TARGET, call, ATTEMPT)
    assert toy.ran_with == [arguments]
    assert [type(value) for value in toy.ran_with[0].values()] == [str, int, bool, float]


@pytest.mark.parametrize(
    ("verb", "params", "wrong"),
    [
        (Scale(), {"by": 0}, "nothing would change"),
        (Scale(), {"by": 101}, "by"),
        (Scale(), {"to": -1}, "to"),
        (Scale(), {"minimum": 3, "maximum": 2}, "the maximum is below the minimum"),
        (Scale(), {"by": "; reboot"}, "by"),
        (Run(), {"arguments": {"--force": "x"}}, "arguments"),
        (Run(), {"arguments": {"a": "x\ny"}}, "arguments"),
        (Run(), {"arguments": {"a": "x\x00"}}, "arguments"),
        (Run(), {"arguments": {"a": ["x"]}}, "arguments"),
        (Run(), {"arguments": {"a": float("nan")}}, "arguments"),
        (Restart(), {"force": True}, "force: Extra inputs"),
        (Failover(), {"approved_by": "me"}, "approved_by: Extra inputs"),
    ],
)
def test_wrong_parameters_are_named(verb: Verb, params: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        verb.parse(params)
    assert wrong in str(caught.value)


def test_every_verb_is_found_by_its_name_and_says_when_to_use_it() -> None:
    assert {verb.name for verb in VERBS} <= set(registry.verbs())
    assert all(verb.help() for verb in VERBS)
    assert [verb.name for verb in VERBS if verb.risky] == ["failover"]
