"""An Alertmanager, as far as the webhook can tell."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from remediation.models import IngestToken
from tests.faults.case import Case
from tests.faults.stage import Stage


def alert_case(stage: Stage, **fields: Any) -> Case:
    """A service whose faults are told by alerts only."""
    source = stage.source(pull_alerts_s=2)  # a source that never answered is not acted on
    query = f'alertname="Told-{source.name}"'
    return stage.case(source, rule={"query": query, "detector": "firing_alert", "params": {}}, **fields)


@dataclass(kw_only=True)
class Sender:
    """Sends alerts of one case in the name of its source."""

    stage: Stage
    case: Case
    token: str
    began: datetime

    @classmethod
    def to(cls, stage: Stage, case: Case) -> Sender:
        _, token = IngestToken.issue(case.rule.source, "harness")
        return cls(stage=stage, case=case, token=token, began=datetime.now(UTC))

    def alert(self, *, resolved: bool = False, **labels: str) -> dict[str, Any]:
        name = f"Told-{self.case.rule.source.name}"
        ends = datetime.now(UTC) if resolved else None
        return {
            "status": "resolved" if resolved else "firing",
            "labels": {"alertname": name, "service": self.case.name, **labels},
            "annotations": {},
            "startsAt": (self.began - timedelta(seconds=1)).isoformat(),
            "endsAt": ends.isoformat() if ends else "0001-01-01T00:00:00Z",
        }

    def send(self, *alerts: dict[str, Any]) -> tuple[int, str]:
        body = {"version": "4", "status": alerts[0]["status"], "alerts": list(alerts)}
        url = f"{self.stage.url}/api/ingest/alertmanager/"
        return self.stage.request("POST", url, body, Authorization=f"Bearer {self.token}")

    def fires(self) -> tuple[int, str]:
        return self.send(self.alert())

    def resolves(self) -> tuple[int, str]:
        return self.send(self.alert(resolved=True))
