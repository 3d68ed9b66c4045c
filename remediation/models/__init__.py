"""The knowledge of the loop: one noun per file."""

from remediation.models.alert import Alert
from remediation.models.approval import Approval
from remediation.models.backtest import Backtest
from remediation.models.breaker import Breaker
from remediation.models.freeze import Freeze
from remediation.models.gap import Gap
from remediation.models.heartbeat import Heartbeat
from remediation.models.incident import Decision, Incident, Note
from remediation.models.maintenance import MaintenanceWindow
from remediation.models.playbook import Playbook, PlaybookVersion, Step
from remediation.models.prepared import Place, Prepared, PreparedTally, PreparedUpdate
from remediation.models.problem import Problem
from remediation.models.remediation import Remediation, RemediationTarget
from remediation.models.rewriting import rewrite
from remediation.models.rule import Rule, RuleStatus, RuleVersion
from remediation.models.seal import Seal
from remediation.models.series_state import SeriesState
from remediation.models.service import Service
from remediation.models.source import IngestToken, Source, SourceStatus
from remediation.models.storm import Storm
from remediation.models.target import Target
from remediation.models.transition import HOMEOSTAT, Transition, change, record, record_all
from remediation.models.view import SavedView

__all__ = [
    "HOMEOSTAT",
    "Alert",
    "Approval",
    "Backtest",
    "Breaker",
    "Decision",
    "Freeze",
    "Gap",
    "Heartbeat",
    "Incident",
    "IngestToken",
    "MaintenanceWindow",
    "Note",
    "Place",
    "Playbook",
    "PlaybookVersion",
    "Prepared",
    "PreparedTally",
    "PreparedUpdate",
    "Problem",
    "Remediation",
    "RemediationTarget",
    "Rule",
    "RuleStatus",
    "RuleVersion",
    "SavedView",
    "Seal",
    "SeriesState",
    "Service",
    "Source",
    "SourceStatus",
    "Step",
    "Storm",
    "Target",
    "Transition",
    "change",
    "record",
    "record_all",
    "rewrite",
]
