"""Log lines without secrets: a traceback says what a client was given."""

from __future__ import annotations

import logging

from remediation.redact import LOOKED_AT, redact


class RedactingFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record), limit=LOOKED_AT)
