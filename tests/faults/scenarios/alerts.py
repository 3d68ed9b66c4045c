"""Alerts that come too often, in the wrong order, or by the thousand."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from remediation.models import Alert, Storm
from tests.faults.alerting import Sender, alert_case
from tests.faults.stage import Stage
from tests.faults.waiting import eventually, expect, stays

SENT = 100
STORM = 1000


def alert_sent_a_hundred_times(stage: Stage) -> int:
    """By two Alertmanagers at once; and one whose end comes before its beginning."""
    case, early = alert_case(stage), alert_case(stage)
    sender, backwards = Sender.to(stage, case), Sender.to(stage, early)
    expect("an end without a beginning is taken", backwards.resolves()[0] == 200)
    with ThreadPoolExecutor(2) as two:
        answers = list(two.map(lambda _: sender.fires()[0], range(SENT)))
    expect(f"some were refused: {sorted(set(answers))}", set(answers) == {200})
    expect("its beginning, late, is taken", backwards.fires()[0] == 200)
    case.await_effects()
    expect("the end is taken", sender.resolves()[0] == 200)
    expect("a beginning from before is taken", sender.fires()[0] == 200)
    case.await_verified()
    eventually("its incident is over", lambda: case.incidents()[0].state == "resolved")
    stays("it does not begin again", lambda: len(case.incidents()) == 1, for_s=3)
    found = (Alert.objects.filter(source=case.rule.source).count(), len(case.incidents()), len(case.effects()))
    expect(f"alerts, incidents and effects are {found}", found == (1, 1, 1))
    expect("what was over before it was told is no incident", not early.incidents())
    return SENT


def storm_of_alerts(stage: Stage) -> int:
    """A thousand at once, some of them of services that could be repaired: automation holds itself."""
    case = alert_case(stage)
    case.rule.service = None
    case.rule.save()
    others = [stage.case(case.rule.source) for _ in range(2)]
    stage.seen_well(*others)
    sender, ann = Sender.to(stage, case), stage.browser("ann")
    labels: list[dict[str, Any]] = [{"service": f"nobody-{number}", "pod": str(number)} for number in range(STORM - 1)]
    firing = [sender.alert(), *(sender.alert(**one) for one in labels)]
    stage.random.shuffle(firing)
    status, text = sender.send(*firing)
    expect(f"the webhook answers {status}: {text}", status == 200)
    eventually("a storm is seen", lambda: Storm.objects.filter(source=case.rule.source).exists(), within_s=90)
    eventually("every alert is an incident", lambda: len(case.incidents()) == STORM, within_s=120)
    began = time.monotonic()
    expect("the page of incidents is shown", ann.get("/incidents/").status_code == 200)
    stage.note(f"the page of {STORM} open incidents took {time.monotonic() - began:.1f} s")
    stays("automation holds itself", lambda: not stage.effects(case, *others), for_s=5)
    ends = [sender.alert(resolved=True), *(sender.alert(resolved=True, **one) for one in labels)]
    expect("the ends are stored", sender.send(*ends)[0] == 200)
    return STORM
