"""The disk is full: what is done might no longer be written down."""

from __future__ import annotations

import shutil

from django.conf import settings

from remediation import conf
from remediation.decide.guards.base import Answer, Guard, Situation

MB = 1 << 20


class DiskGuard(Guard):
    """An intent may still fit into what a database has set aside, and the report of its effect no longer. So nothing
    begins below what `/-/ready` asks for."""

    name = "disk"
    label = "Disk"

    def ask(self, situation: Situation) -> Answer:
        free = shutil.disk_usage(settings.HOMEOSTAT_HOME).free
        numbers = {"free_mb": free // MB, "needed_mb": conf.FREE_BYTES // MB}
        reason = f"{free // MB} MiB free, {conf.FREE_BYTES // MB} needed"
        return Answer(passed=free >= conf.FREE_BYTES, reason=reason, numbers=numbers)
