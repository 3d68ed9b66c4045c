"""What the loop asks of a source, whichever server stands behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from remediation.series import Labels


@dataclass(frozen=True, kw_only=True)
class Question:
    """A rule's question to its source. window_s 0 asks for the newest sample; else step_s apart over window_s."""

    query: str
    window_s: float = 0.0
    step_s: float = 0.0
    needs_liveness: bool = False


@dataclass(frozen=True, kw_only=True)
class SeenAlert:
    """One alert, as Prometheus or Alertmanager sent it. muted: silenced or inhibited in Alertmanager's list."""

    labels: Labels
    annotations: Mapping[str, str] = field(default_factory=dict)
    status: str  # firing, resolved
    starts_at: float
    ends_at: float | None = None
    value: float | None = None
    generator_url: str = ""
    muted: bool = False


@dataclass(frozen=True, kw_only=True)
class Access:
    """How to reach a source. `secret` is the resolved value, kept out of every repr."""

    url: str
    auth: str = "none"  # none, basic, bearer
    username: str = ""
    secret: str = field(default="", repr=False)
    timeout_s: float = 10.0
    stale_after_s: float = 30.0
    verify_tls: bool = True
    max_bytes: int = 32 * 1024 * 1024
    extra: Mapping[str, Any] = field(default_factory=dict)
