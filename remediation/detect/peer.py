from __future__ import annotations

from collections import defaultdict
from typing import cast

import numpy as np
from pydantic import Field

from remediation import registry
from remediation.detect.baseline import MAD_TO_SIGMA
from remediation.detect.rolling import Opinion, RollingHistory, ends, middle_of, share_of, sided
from remediation.detect.sided import HistoryParams, Limit
from remediation.detect.wording import number
from remediation.series import Labels, Matrix


class PeerParams(HistoryParams):
    limit: Limit = Field(default=6.0, description="Scales (robust standard deviations) from the siblings' median.")
    window_s: float = Field(
        default=300.0, ge=0, title="History (seconds)", description="Compared are the medians of this time."
    )
    by: list[str] = Field(
        default_factory=list,
        title="Siblings share",
        description="Labels that siblings have in common, such as job; without any, all series are siblings.",
    )
    tolerance: float = Field(
        default=0.1, ge=0, title="Tolerance", description="A scale is at least this share of the siblings' median."
    )
    minimum_peers: int = Field(
        default=3, ge=2, title="Minimum siblings", description="With fewer others the verdict is unknown."
    )


class Peer(RollingHistory):
    """Bad while one instance behaves unlike its siblings.

    Use it for what is shared out evenly: requests, errors, latency or memory of the replicas of a service. What all
    do together is not odd here, however odd. Compares the median of the last minutes with the median of the siblings;
    the scale is 1.4826 times the MAD among them and at least a tenth of their median. A series is not its own sibling.
    From: Tukey's fences on the members of a group, with median and MAD.
    """

    name = "peer"
    label = "Peer outlier"
    Params = PeerParams

    def step_s(self, params: registry.Params) -> float:
        return cast(PeerParams, params).step_s if self.window_s(params) else 0.0

    def look(self, window: Matrix, params: registry.Params) -> Opinion:
        asked = cast(PeerParams, params)
        present = np.isfinite(window.values[:, -1])
        own = middle_of(np.where(np.isfinite(window.values), window.values, np.nan))
        others = np.where(present, own, np.nan)
        middle, scale, count = np.full((3, len(own)), np.nan)
        for rows in _groups(window.labels, asked.by):
            for row in rows:
                siblings = others[[other for other in rows if other != row]]
                siblings = np.sort(siblings[~np.isnan(siblings)])
                count[row] = len(siblings)
                if len(siblings):
                    middle[row] = np.median(siblings)
                    scale[row] = MAD_TO_SIGMA * np.median(np.abs(siblings - middle[row]))
        scale = np.maximum(scale, asked.tolerance * np.abs(middle))
        half = np.maximum(asked.limit * scale, asked.minimum_effect)
        half = np.where(count >= asked.minimum_peers, half, np.nan)
        scores = share_of(sided(own - middle, asked.direction), half)
        lower, upper = ends(middle, half, asked.direction)

        def words(row: int) -> str:
            if np.isnan(half[row]):
                return f"only {count[row]:.0f} siblings, {asked.minimum_peers} are needed"
            if np.isnan(scores[row]):
                among = f"{number(own[row])} among siblings at {number(middle[row])}"
                return f"{among}: a minimum effect would tell how much is much"
            if scores[row] > 1:
                times = number(round(float(scores[row]), 2))
                return (
                    f"{number(own[row])} differs from the {number(middle[row])} of {count[row]:.0f} siblings "
                    f"by {times} times what is allowed"
                )
            return f"{number(own[row])} is like the {number(middle[row])} of {count[row]:.0f} siblings"

        return Opinion(scores=scores, lower=lower, upper=upper, words=words)


def _groups(labels: tuple[Labels, ...], by: list[str]) -> list[list[int]]:
    found: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for row, own in enumerate(labels):
        found[tuple(own.get(name, "") for name in by)].append(row)
    return list(found.values())
