"""Nothing begins while the disk is full."""

from __future__ import annotations

import shutil
from types import SimpleNamespace
from typing import Any

import pytest

from remediation import conf
from tests.remediation.decide.situations import a_situation, ask
from tests.remediation.world import make_service

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(("free", "passed"), [(conf.FREE_BYTES, True), (conf.FREE_BYTES - 1, False), (0, False)])
def test_too_little_room_holds(free: int, passed: bool, monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    asked: list[str] = []

    def usage(path: object) -> SimpleNamespace:
        asked.append(str(path))
        return SimpleNamespace(free=free)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    answer = ask("disk", a_situation(make_service()))
    assert (answer.passed, answer.numbers) == (passed, {"free_mb": free >> 20, "needed_mb": 16})
    assert asked == [str(settings.HOMEOSTAT_HOME)]
