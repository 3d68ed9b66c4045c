"""What pages draw: re-exported, so that they need not know where it is made."""

from remediation.condition import History, history

__all__ = ["History", "history"]
