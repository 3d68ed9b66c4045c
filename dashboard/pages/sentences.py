"""What each line of history says to a person, by kind and by what happened.

`{verb}` and `{targets}` are those of a remediation, `{where}` that of a freeze, `{target}` that of a target.
"""

from __future__ import annotations

from collections.abc import Mapping

from remediation.states import IncidentState, Outcome
from remediation.states import RemediationState as R

REMEDIATION: Mapping[str, str] = {
    R.PLANNED: "Plans to {verb} {targets}",
    R.GATED: "Holds back before it would {verb} {targets}",
    R.AWAITING_APPROVAL: "Asks for approval to {verb} {targets}",
    R.READY: "Cleared to {verb} {targets}",
    R.EXECUTING: "Begins to {verb} {targets}",
    R.VERIFYING: "Done: {verb} {targets}; now it has to prove itself",
    R.UNKNOWN: "Lost sight of it: {verb} {targets}. A probe will tell",
    R.ROLLING_BACK: "Decides to undo: {verb} {targets}",
    R.VERIFIED: "Verified: {verb} {targets} helped",
    R.INEFFECTIVE: "Did not help: {verb} {targets}",
    R.WORSENED: "Made it worse: {verb} {targets}",
    R.INCONCLUSIVE: "Cannot tell whether it helped: {verb} {targets}",
    R.ROLLED_BACK: "Undone: {verb} {targets}",
    R.SHADOWED: "Would {verb} {targets}, but only watches",
    R.SELF_RECOVERED: "Recovered by itself before it came to {verb} {targets}",
    R.REJECTED: "Rejected: {verb} {targets}",
    R.EXPIRED: "Nobody answered in time: {verb} {targets}",
    R.SUPERSEDED: "No longer fits: {verb} {targets}",
    R.CANCELLED: "Cancelled: {verb} {targets}",
    R.FAILED: "Failed: {verb} {targets}",
    "undo begins": "Begins to undo: {verb} {targets}",
    "relapsed": "Did not last: the same fault came back after {verb} {targets} had helped",
    "healed by itself": "Healed without help, while shadow only watched what it would {verb}: {targets}",
    "refused": "Refused to {verb} {targets}: it was told to act on what is not cleared",
}
INCIDENT: Mapping[str, str] = {
    IncidentState.PENDING: "Out of range",
    IncidentState.FIRING: "Firing",
    IncidentState.RESOLVED: "Resolved",
    "acknowledged": "Acknowledged",
    "taken": "On it by hand: automation holds",
    "prolonged": "On it by hand for longer",
    "handed back": "Handed back: automation goes on",
    "asked again": "Asked for again",
    "needs a person": "A person is needed",
    "rule edited": "Judged by the edited rule from now on",
    "verdict unknown": "Cannot be seen: the verdict is unknown",
    "verdict ok": "Back in its normal range",
    "verdict bad": "Out of range again",
    f"decided: {Outcome.NOTHING}": "Decided to do nothing",
    f"decided: {Outcome.HELD}": "Decided what to do",
    f"decided: {Outcome.ATTACHED}": "Waits for a repair that is under way",
    f"decided: {Outcome.SHADOWED}": "Decided what it would do",
    f"decided: {Outcome.ACTED}": "Decided what to do, and did it",
    f"decided: {Outcome.OPEN}": "Decided what to do",
}
OTHERS: Mapping[str, Mapping[str, str]] = {
    "rule": {
        "unknown": "Rule cannot be judged",
        "known again": "Rule is judged again",
        "enabled": "Rule switched on",
        "disabled": "Rule switched off",
        "saved_anyway": "Rule saved although the source speaks against it",
        "taken_over": "Rule taken over from its file: it is edited here from now on",
    },
    "playbook": {
        "autonomy shadow": "Playbook only watches from now on",
        "autonomy approve": "Playbook asks before it acts from now on",
        "autonomy auto": "Playbook acts alone from now on",
    },
    "freeze": {
        "frozen": "Automation paused: {where}",
        "lifted": "Automation runs again: {where}",
    },
    "target": {
        "automation off": "Automation keeps its hands off {target} from now on",
        "automation on": "Automation may touch {target} again",
    },
    "breaker": {
        "open": "Breaker opened: this step did not help, so it is not tried again for now",
        "half_open": "Breaker has rested: one attempt may be approved by a person",
        "closed": "Breaker closed: the step may be tried again",
    },
    "storm": {
        "began": "Storm began: so much went bad at once that automation holds",
        "ended": "Storm is over: automation goes on",
        "dismissed": "A person says that this is no storm: for a while automation goes on",
    },
    "maintenance": {
        "added": "Maintenance window added",
        "changed": "Maintenance window changed",
        "deleted": "Maintenance window deleted",
    },
    "problem": {
        "opened": "The same repair, again and again: somebody should look for the cause",
        "closed": "Problem closed: its owner mended it, or lives with it",
    },
    "user": {"refused": "Tried what is not allowed"},
    "login": {
        "signed in": "Signed in",
        "bad password": "Wrong password",
        "locked": "Too many wrong passwords: this name is locked for a while",
    },
}
SAYS: Mapping[str, Mapping[str, str]] = {"remediation": REMEDIATION, "incident": INCIDENT, **OTHERS}
