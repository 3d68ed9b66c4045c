"""What each line of history says to a person, by kind and by what happened.

`{verb}` and `{targets}` are those of a remediation, `{where}` that of a freeze, `{target}` that of a target.
"""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.translation import gettext_noop as _

from remediation.states import IncidentState, Outcome
from remediation.states import RemediationState as R

REMEDIATION: Mapping[str, str] = {
    R.PLANNED: _("Plans to {verb} {targets}"),
    R.GATED: _("Holds back before it would {verb} {targets}"),
    R.AWAITING_APPROVAL: _("Asks for approval to {verb} {targets}"),
    R.READY: _("Cleared to {verb} {targets}"),
    R.EXECUTING: _("Begins to {verb} {targets}"),
    R.VERIFYING: _("Done: {verb} {targets}; now it has to prove itself"),
    R.UNKNOWN: _("Lost sight of it: {verb} {targets}. A probe will tell"),
    R.ROLLING_BACK: _("Decides to undo: {verb} {targets}"),
    R.VERIFIED: _("Verified: {verb} {targets} helped"),
    R.INEFFECTIVE: _("Did not help: {verb} {targets}"),
    R.WORSENED: _("Made it worse: {verb} {targets}"),
    R.INCONCLUSIVE: _("Cannot tell whether it helped: {verb} {targets}"),
    R.ROLLED_BACK: _("Undone: {verb} {targets}"),
    R.SHADOWED: _("Would {verb} {targets}, but only watches"),
    R.SELF_RECOVERED: _("Recovered by itself before it came to {verb} {targets}"),
    R.REJECTED: _("Rejected: {verb} {targets}"),
    R.EXPIRED: _("Nobody answered in time: {verb} {targets}"),
    R.SUPERSEDED: _("No longer fits: {verb} {targets}"),
    R.CANCELLED: _("Cancelled: {verb} {targets}"),
    R.FAILED: _("Failed: {verb} {targets}"),
    "undo begins": _("Begins to undo: {verb} {targets}"),
    "relapsed": _("Did not last: the same fault came back after {verb} {targets} had helped"),
    "healed by itself": _("Healed without help, while shadow only watched what it would {verb}: {targets}"),
    "refused": _("Refused to {verb} {targets}: it was told to act on what is not cleared"),
}
INCIDENT: Mapping[str, str] = {
    IncidentState.PENDING: _("Out of range"),
    IncidentState.FIRING: _("Firing"),
    IncidentState.RESOLVED: _("Resolved"),
    "acknowledged": _("Acknowledged"),
    "taken": _("On it by hand: automation holds"),
    "prolonged": _("On it by hand for longer"),
    "handed back": _("Handed back: automation goes on"),
    "asked again": _("Asked for again"),
    "needs a person": _("A person is needed"),
    "rule edited": _("Judged by the edited rule from now on"),
    "verdict unknown": _("Cannot be seen: the verdict is unknown"),
    "verdict ok": _("Back in its normal range"),
    "verdict bad": _("Out of range again"),
    f"decided: {Outcome.NOTHING}": _("Decided to do nothing"),
    f"decided: {Outcome.HELD}": _("Decided what to do"),
    f"decided: {Outcome.ATTACHED}": _("Waits for a repair that is under way"),
    f"decided: {Outcome.SHADOWED}": _("Decided what it would do"),
    f"decided: {Outcome.ACTED}": _("Decided what to do, and did it"),
    f"decided: {Outcome.OPEN}": _("Decided what to do"),
}
OTHERS: Mapping[str, Mapping[str, str]] = {
    "rule": {
        "unknown": _("Rule cannot be judged"),
        "known again": _("Rule is judged again"),
        "enabled": _("Rule switched on"),
        "disabled": _("Rule switched off"),
        "saved_anyway": _("Rule saved although the source speaks against it"),
        "taken_over": _("Rule taken over from its file: it is edited here from now on"),
    },
    "playbook": {
        "autonomy shadow": _("Playbook only watches from now on"),
        "autonomy approve": _("Playbook asks before it acts from now on"),
        "autonomy auto": _("Playbook acts alone from now on"),
    },
    "freeze": {
        "frozen": _("Automation paused: {where}"),
        "lifted": _("Automation runs again: {where}"),
    },
    "target": {
        "automation off": _("Automation keeps its hands off {target} from now on"),
        "automation on": _("Automation may touch {target} again"),
    },
    "breaker": {
        "open": _("Breaker opened: this step did not help, so it is not tried again for now"),
        "half_open": _("Breaker has rested: one attempt may be approved by a person"),
        "closed": _("Breaker closed: the step may be tried again"),
    },
    "storm": {
        "began": _("Storm began: so much went bad at once that automation holds"),
        "ended": _("Storm is over: automation goes on"),
        "dismissed": _("A person says that this is no storm: for a while automation goes on"),
    },
    "maintenance": {
        "added": _("Maintenance window added"),
        "changed": _("Maintenance window changed"),
        "deleted": _("Maintenance window deleted"),
    },
    "problem": {
        "opened": _("The same repair, again and again: somebody should look for the cause"),
        "closed": _("Problem closed: its owner mended it, or lives with it"),
    },
    "user": {"refused": _("Tried what is not allowed")},
    "login": {
        "signed in": _("Signed in"),
        "bad password": _("Wrong password"),
        "locked": _("Too many wrong passwords: this name is locked for a while"),
    },
}
SAYS: Mapping[str, Mapping[str, str]] = {"remediation": REMEDIATION, "incident": INCIDENT, **OTHERS}
