"""What detectors that compare with something expected ask alike, so that a name means the same in all of them. No
plug-in lives here."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from remediation import registry

Direction = Literal["high", "low", "both"]
Limit = Annotated[float, Field(gt=0, title="Limit")]
MinimumEffect = Annotated[float, Field(ge=0, title="Minimum effect")]
History = Annotated[
    float,
    Field(gt=0, title="History (seconds)", description="How far back normal is learnt."),
]
Step = Annotated[float, Field(gt=0, title="Step (seconds)", description="Time between two points of it.")]
MinimumPoints = Annotated[
    int,
    Field(ge=3, title="Minimum points", description="With fewer points of history the verdict is unknown."),
]


class SidedParams(registry.Params):
    """A distance from what is expected: from where on it is bad, to which side, and from what size on it matters.
    Each detector says what its limit counts."""

    limit: Limit
    direction: Direction = Field(
        default="both", title="Direction", description="Whether values that are too high, too low or both are bad."
    )
    minimum_effect: MinimumEffect = Field(
        default=0.0,
        description="Smaller distances from what is expected are never bad, however odd. In the unit of the query.",
    )


class HistoryParams(SidedParams):
    """The same, with the history that what is expected is learnt from."""

    window_s: History = 3600.0
    step_s: Step = 15.0


class BaselineParams(HistoryParams):
    """The same, where the newest part of the history is left out."""

    skip_s: float = Field(
        default=60.0,
        ge=0,
        title="Skip (seconds)",
        description="The newest part of the history is left out, so that a fault under way does not become normal.",
    )
    minimum_points: MinimumPoints = 30
