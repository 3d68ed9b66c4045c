"""Scale: change how many members of a target run."""

from __future__ import annotations

from typing import Self, cast

from pydantic import Field, model_validator

from remediation import registry
from remediation.act.base import Verb
from remediation.act.outcome import settled
from remediation.exceptions import ConfigurationError
from remediation.targets.base import Attempt, Backend, Call, Effect, Found, Scalable, TargetRef


class ScaleParams(registry.Params):
    by: int = Field(
        default=1, ge=-100, le=100, title="Change by", description="How many members more; fewer when negative."
    )
    to: int | None = Field(default=None, ge=0, le=1000, description="How many members in all; then `by` is not used.")
    minimum: int | None = Field(default=None, ge=0, le=1000, description="Never fewer than this in this step.")
    maximum: int | None = Field(default=None, ge=0, le=1000, description="Never more than this in this step.")

    @model_validator(mode="after")
    def _some_way(self) -> Self:
        if self.by == 0 and self.to is None:
            raise ValueError("by is 0: nothing would change")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError("the maximum is below the minimum")
        return self


def wanted_size(params: ScaleParams, size: int, limits: tuple[int, int]) -> int:
    """The size to go to, inside the target's limits and the step's. Raises ConfigurationError when it is already
    there, or when the limits would turn growing into shrinking."""
    low = max(limits[0], params.minimum or 0)
    high = limits[1] if params.maximum is None else min(limits[1], params.maximum)
    if low > high:
        raise ConfigurationError(f"the step allows {low} to {high} members, the target {limits[0]} to {limits[1]}")
    asked = size + params.by if params.to is None else params.to
    wanted = min(max(asked, low), high)
    turned = params.to is None and (wanted - size) * params.by < 0
    if wanted == size or turned:
        raise ConfigurationError(f"{size} run already; {low} to {high} are allowed and {asked} were asked for")
    return wanted


class Scale(Verb):
    """For load that more members can share. Undone by scaling back."""

    name = "scale"
    label = "Scale"
    Params = ScaleParams
    needs = Scalable
    supports_undo = True

    def preview(self, backend: Backend, target: TargetRef, params: registry.Params) -> Call:
        able = self._able(backend)
        size = able.size(target)
        wanted = wanted_size(cast(ScaleParams, params), size, able.limits(target))
        return Call(
            target=target.name,
            text=able.resize_text(target, wanted),
            before={**backend.state(target), "size": size},
            after={"size": wanted},
            undo=able.resize_text(target, size),
            arguments={"from": size, "to": wanted},
        )

    def execute(self, backend: Backend, target: TargetRef, call: Call, attempt: Attempt) -> Effect:
        with settled():
            return self._able(backend).resize(target, int(call.arguments["to"]), attempt)

    def undo(self, backend: Backend, target: TargetRef, call: Call, attempt: Attempt) -> Effect:
        with settled():
            return self._able(backend).resize(target, int(call.arguments["from"]), attempt)

    def probe(self, backend: Backend, target: TargetRef, call: Call, attempt: Attempt | None = None) -> Found:
        size, before, wanted = self._able(backend).size(target), call.arguments["from"], call.arguments["to"]
        done = {wanted: True, before: False}.get(size)
        return Found(done=done, reason=f"{size} run; {before} did before, {wanted} should", facts={"size": size})

    def _able(self, backend: Backend) -> Scalable:
        self.fits(backend)
        return cast(Scalable, backend)
