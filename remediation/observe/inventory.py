"""What a source says of itself: the rules it evaluates and the targets it scrapes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from remediation.observe import answers, payload
from remediation.series import Labels


@dataclass(frozen=True, kw_only=True)
class SeenRule:
    """A rule of the source itself. kind: alerting, recording. health: ok, err, unknown. state: alerting rules only."""

    group: str
    name: str
    kind: str
    query: str
    health: str
    state: str = ""
    labels: Labels = field(default_factory=dict)
    last_error: str = ""


@dataclass(frozen=True, kw_only=True)
class SeenTarget:
    """Something the source scrapes. health: up, down, unknown. scraped_at: None before the first scrape."""

    labels: Labels
    pool: str
    url: str
    health: str
    scraped_at: float | None
    last_error: str = ""


def rule(group: str, item: Mapping[str, Any]) -> SeenRule:
    """One rule of `/api/v1/rules`. Raises KeyError, TypeError."""
    return SeenRule(
        group=group,
        name=str(item["name"]),
        kind=str(item.get("type", "")),
        query=str(item.get("query", "")),
        health=str(item.get("health", "unknown")),
        state=str(item.get("state", "")),
        labels=answers.labels(item.get("labels") or {}),
        last_error=str(item.get("lastError", "")),
    )


def target(item: Mapping[str, Any]) -> SeenTarget:
    """One target of `/api/v1/targets`. Raises KeyError, TypeError, ValueError."""
    return SeenTarget(
        labels=answers.labels(item["labels"]),
        pool=str(item.get("scrapePool", "")),
        url=str(item.get("scrapeUrl", "")),
        health=str(item.get("health", "unknown")),
        scraped_at=payload.timestamp(item.get("lastScrape", "")),
        last_error=str(item.get("lastError", "")),
    )
