"""The knowledge of the loop: one noun per file."""

from remediation.models.alert import Alert
from remediation.models.approval import Approval
from remediation.models.backtest import Backtest
from remediation.models.freeze import Freeze
from remediation.models.heartbeat import Heartbeat
from remediation.models.incident import Decision, Incident, Note
from remediation.models.playbook import Playbook, PlaybookVersion, Step
from remediation.models.remediation import Remediation, RemediationTarget
from remediation.models.rule import Rule, RuleStatus, RuleVersion
from remediation.models.series_state import SeriesState
from remediation.models.service import Service
from remediation.models.source import IngestToken, Source, SourceStatus
from remediation.models.target import Target
from remediation.models.transition import HOMEOSTAT, Transition, change, record, record_all

__all__ = [
    "HOMEOSTAT",
    "Alert",
    "Approval",
    "Backtest",
    "Decision",
    "Freeze",
    "Heartbeat",
    "Incident",
    "IngestToken",
    "Note",
    "Playbook",
    "PlaybookVersion",
    "Remediation",
    "RemediationTarget",
    "Rule",
    "RuleStatus",
    "RuleVersion",
    "SeriesState",
    "Service",
    "Source",
    "SourceStatus",
    "Step",
    "Target",
    "Transition",
    "change",
    "record",
    "record_all",
]
