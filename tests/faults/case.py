"""One service under watch, with everything that repairs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from remediation.models import (
    Incident,
    Playbook,
    Remediation,
    Rule,
    SeriesState,
    Service,
    Source,
    Step,
    Target,
    Transition,
)
from remediation.states import Phase
from tests.faults.waiting import Unmet, eventually

if TYPE_CHECKING:
    from tests.faults.ledger import Row
    from tests.faults.stage import Stage

STEP = {"verb": "run", "cooldown_s": 0, "budget": 1000, "good_samples": 1, "timeout_s": 2, "verify_within_s": 15}


@dataclass(kw_only=True)
class Case:
    stage: Stage
    name: str
    service: Service
    rule: Rule
    playbook: Playbook
    target: Target

    @classmethod
    def make(
        cls,
        stage: Stage,
        source: Source,
        name: str,
        *,
        autonomy: str = "auto",
        steps: int = 1,
        url: str = "",
        rule: dict[str, Any] | None = None,
        **step: Any,
    ) -> Case:
        """steps: rungs of the ladder, all alike. url: where the repair is asked for, the shop by default."""
        now, shop = timezone.now(), f"http://127.0.0.1:{stage.shop_port}"
        service = Service.objects.create(name=name)
        params: dict[str, Any] = {"url": url or f"{shop}/repair/{name}", "probe_url": f"{shop}/probe/{name}"}
        params["timeout_s"] = (STEP | step)["timeout_s"]
        target = Target.objects.create(service=service, name=name, backend="http", params=params)
        wanted: dict[str, Any] = {
            "service": service,
            "query": f'shop_up{{service="{name}"}}',
            "detector": "threshold",
            "params": {"op": "<", "value": 1},
        }
        wanted |= {"interval_s": 1} | (rule or {})
        row = Rule.objects.create(name=f"Down-{name}", source=source, **wanted)
        row.keep_version(author="harness", now=now)
        playbook = Playbook.objects.create(name=f"Repair-{name}", matchers=f'alertname="{row.name}"', autonomy=autonomy)
        for position in range(1, steps + 1):
            Step.objects.create(playbook=playbook, position=position, **(STEP | step))
        playbook.keep_version(author="harness", now=now)
        return cls(stage=stage, name=name, service=service, rule=row, playbook=playbook, target=target)

    def shop(self, **change: Any) -> None:
        self.stage.control({"service": self.name, **change})

    def breaks(self, mode: str = "repairs", seconds: float = 0.0) -> None:
        self.shop(up=0.0, mode=mode, seconds=seconds)

    def heals(self) -> None:
        self.shop()

    # --- what became of it ---

    def effects(self) -> list[Row]:
        return self.stage.effects(self)

    def seen_well(self) -> bool:
        return SeriesState.objects.filter(rule=self.rule, phase=Phase.OK).exists()

    def incidents(self) -> list[Incident]:
        return list(Incident.objects.filter(rule=self.rule).order_by("pk"))

    def remediations(self) -> list[Remediation]:
        return list(Remediation.objects.filter(incident__rule=self.rule).order_by("pk"))

    def states(self) -> list[str]:
        return [row.state for row in self.remediations()]

    def passed(self, state: str) -> list[Transition]:
        """When its remediations came into a state."""
        ids = [row.pk for row in self.remediations()]
        return list(Transition.objects.filter(kind="remediation", object_id__in=ids, to_state=state))

    def await_state(self, *states: str, within_s: float = 60) -> Remediation:
        """The first remediation of it that is in one of the states."""

        def look() -> Remediation | None:
            return next((row for row in self.remediations() if row.state in states), None)

        try:
            found = eventually(f"{self.name} is {' or '.join(states)}", look, within_s=within_s)
        except Unmet as error:
            rows = [f"{row.state} ({row.reason})" for row in self.remediations()]
            asked = [f"{one.state} ({one.attention or one.verdict})" for one in self.incidents()]
            raise Unmet(f"{error}; incidents: {asked}; remediations: {rows}") from None
        assert found is not None
        return found

    def await_effects(self, count: int = 1, within_s: float = 60) -> None:
        eventually(f"{count} effects on {self.name}", lambda: len(self.effects()) >= count, within_s=within_s)

    def await_verified(self, within_s: float = 90) -> None:
        self.await_state("verified", within_s=within_s)
