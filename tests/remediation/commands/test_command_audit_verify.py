"""`manage.py audit_verify`: what it names, writes, and answers with."""

from __future__ import annotations

import hashlib
import io
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from remediation import sealing
from remediation.canonical import canonical
from remediation.models import Seal, Transition

pytestmark = pytest.mark.django_db


def write(count: int, *, at: datetime | None = None) -> list[Transition]:
    at = at or timezone.now()
    return [Transition.objects.create(kind="incident", object_id=n, to_state="ä", at=at) for n in range(count)]


def verify(*arguments: str) -> tuple[int, str, str]:
    """Exit status, stdout and stderr."""
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("audit_verify", *arguments, stdout=out, stderr=err)
    except CommandError as error:
        return error.returncode, out.getvalue(), f"{err.getvalue()}{error}"
    return 0, out.getvalue(), err.getvalue()


def test_an_old_database_is_sealed_and_well() -> None:
    write(3, at=timezone.now() - timedelta(days=30))
    status, out, _ = verify()
    assert (status, Seal.objects.count()) == (0, 3)
    assert "sealed 3 of 3 lines" in out
    assert f"Walked 3 links. Head: 3:{Seal.objects.get(number=3).hash}" in out
    assert "Every line is as it was sealed." in out


def test_an_empty_database_is_well() -> None:
    assert verify()[0] == 0


def test_a_changed_line_is_named_and_the_status_is_1() -> None:
    rows = write(5)
    verify()
    Transition.objects.filter(pk=rows[3].pk).update(reason="nothing happened")
    status, out, err = verify()
    assert (status, f"link 4: line {rows[3].pk} (" in out, "1 found" in err) == (1, True, True)


def test_a_seal_outside_the_chain_hides_nothing() -> None:
    """Neither a line that was made up, nor the last one taken off the chain and changed."""
    rows = write(3)
    verify()
    Seal.objects.filter(number=3).update(number=-1)
    Transition.objects.filter(pk=rows[2].pk).update(reason="nothing happened")
    status, out, _ = verify()
    assert (status, f"line {rows[2].pk} (" in out, "has a seal outside the chain" in out) == (1, True, True)


def test_a_line_that_was_never_sealed_is_named() -> None:
    write(2)
    verify()
    (row,) = write(1, at=timezone.now() - timedelta(minutes=2))
    status, out, _ = verify()
    assert (status, f"line {row.pk} (" in out, "has no seal" in out) == (1, True, True)


def test_the_head_that_was_written_down_shows_that_the_end_was_cut_off() -> None:
    write(4)
    verify()
    head = "{}:{}".format(*sealing.head())
    assert verify("--expect", head)[0] == 0
    last = Seal.objects.get(number=4)
    last.delete()
    Transition.objects.filter(pk=last.transition_id).delete()
    assert verify()[0] == 0
    status, out, _ = verify("--expect", head)
    assert (status, "link 4 is not there" in out) == (1, True)


def test_since_walks_only_what_came_since() -> None:
    old = write(3, at=timezone.now() - timedelta(days=9))
    write(2)
    verify()
    Transition.objects.filter(pk=old[0].pk).update(reason="x")
    assert verify("--since", "7d")[:1] == (0,)
    assert "Walked 2 links" in verify("--since", "7d")[1]
    assert verify("--since", "2001-01-01")[0] == 1
    assert "Walked 0 links" in verify("--since", "2999-01-01T00:00")[1]


def test_an_export_can_be_proved_without_the_database(tmp_path: Path) -> None:
    write(3)
    path = tmp_path / "history.jsonl"
    assert verify("--export", str(path))[0] == 0
    previous = "0" * 64
    lines: list[dict[str, Any]] = [json.loads(line) for line in path.read_text().splitlines()]
    for number, line in enumerate(lines, start=1):
        previous = hashlib.sha256(f"{previous}\n{canonical(line['line'])}".encode()).hexdigest()
        assert (line["number"], line["hash"]) == (number, previous)
    assert (len(lines), previous) == (3, sealing.head()[1])


def test_an_export_to_stdout_is_nothing_but_lines() -> None:
    write(2)
    _, out, err = verify("--export", "-")
    assert [json.loads(line)["number"] for line in out.splitlines()] == [1, 2]
    assert "Head: 2:" in err


def test_an_export_names_a_line_that_was_changed(tmp_path: Path) -> None:
    rows = write(2)
    verify()
    Transition.objects.filter(pk=rows[0].pk).update(reason="x")
    assert verify("--export", str(tmp_path / "out"))[0] == 1
    assert len((tmp_path / "out").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    "arguments", [("--since", "yesterday"), ("--expect", "4"), ("--expect", "x:y"), ("--export", "/no/where")]
)
def test_what_it_cannot_read_it_says(arguments: tuple[str, str]) -> None:
    with pytest.raises(CommandError):
        call_command("audit_verify", *arguments, stdout=io.StringIO(), stderr=io.StringIO())
