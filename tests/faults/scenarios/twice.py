"""Everything twice, or ten times."""

from __future__ import annotations

import threading
import time

from remediation.doorbell import ring
from remediation.models import Incident
from tests.faults.stage import Stage
from tests.faults.waiting import eventually, expect

TIMES = 10


def two_beats_and_ten_messages(stage: Stage) -> int:
    """A second beat, and every doorbell rung ten times at once by several, for as long as the repair lasts."""
    cases = [stage.case() for _ in range(3)]
    stage.seen_well(*cases)
    stage.processes.second("beat").start()
    over = threading.Event()

    def ring_all() -> None:
        while not over.wait(0.3):
            for _ in range(TIMES):
                ring("evaluate", rule_ids=[case.rule.pk for case in cases], expires_s=5)
                ring("sweep", expires_s=5)
                for case in cases:
                    for incident in Incident.objects.filter(rule=case.rule).values_list("pk", flat=True):
                        ring("reconcile", incident_id=incident, expires_s=5)
                    for row in case.remediations():
                        ring("act", remediation_id=row.pk, expires_s=5)
                        ring("advance", remediation_id=row.pk, expires_s=5)

    ringing = threading.Thread(target=ring_all, daemon=True)
    ringing.start()
    try:
        time.sleep(1)
        for case in cases:
            case.breaks("slow", seconds=stage.random.uniform(0, 1))
        for case in cases:
            case.await_verified()
        eventually("all of it is over", lambda: all(one.incidents()[-1].state == "resolved" for one in cases))
    finally:
        over.set()
        ringing.join()
        stage.processes.drop("beat-2")
    for case in cases:
        found = (len(case.incidents()), len(case.remediations()), len(case.effects()))
        expect(f"{case.name}: incidents, remediations and effects are {found}", found == (1, 1, 1))
    return len(cases)
