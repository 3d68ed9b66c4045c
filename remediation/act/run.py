"""Run: have a target do the one thing it is configured to do."""

from __future__ import annotations

from typing import Annotated, cast

from pydantic import Field, StrictBool, StrictFloat, StrictInt

from remediation import registry
from remediation.act.base import Verb
from remediation.act.outcome import settled
from remediation.targets.base import Attempt, Backend, Call, Effect, Found, Runs, TargetRef

Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]
Text = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]{0,1000}$")]


class RunParams(registry.Params):
    arguments: dict[Name, StrictBool | StrictInt | StrictFloat | Text] = Field(
        default={}, max_length=20, description="Named values handed over as they are; never a shell, never a template."
    )


class Run(Verb):
    """For everything that is a request, a script or a job. Whether it can be undone, only its author knows."""

    name = "run"
    label = "Run"
    Params = RunParams
    needs = Runs

    def preview(self, backend: Backend, target: TargetRef, params: registry.Params) -> Call:
        arguments = cast(RunParams, params).arguments
        return Call(
            target=target.name,
            text=self._able(backend).run_text(target, arguments),
            before=backend.state(target),
            after={},
            arguments=arguments,
        )

    def execute(self, backend: Backend, target: TargetRef, call: Call, attempt: Attempt) -> Effect:
        with settled():
            return self._able(backend).run(target, call.arguments, attempt)

    def probe(self, backend: Backend, target: TargetRef, call: Call, attempt: Attempt | None = None) -> Found:
        return self._able(backend).ran(target, call.arguments, attempt=attempt)

    def _able(self, backend: Backend) -> Runs:
        self.fits(backend)
        return cast(Runs, backend)
