"""The kill switch at a terminal works on the database alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from remediation.models import Freeze, Service, Transition

pytestmark = pytest.mark.django_db


def run(name: str, *arguments: str) -> str:
    out = StringIO()
    call_command(name, *arguments, stdout=out)
    return out.getvalue()


def test_freeze_everywhere_until_lifted() -> None:
    assert run("freeze", "--reason", "migration") == "Frozen everywhere, until `manage.py unfreeze`.\n"
    row = Freeze.objects.get()
    assert (row.service, row.reason, row.until, row.by.endswith("terminal)")) == (None, "migration", None, True)
    assert run("unfreeze") == "Lifted the freeze everywhere.\n"
    assert not Freeze.active(now=datetime.now(UTC)).exists()
    assert list(Transition.objects.values_list("to_state", flat=True)) == ["frozen", "lifted"]


def test_freeze_for_a_while_of_one_service() -> None:
    cart = Service.objects.create(name="cart")
    assert run("freeze", "--service", "cart", "--for", "1h30m").startswith("Frozen for cart, until 2")
    row = Freeze.objects.get()
    assert (row.service, row.until and row.until - row.at) == (cart, timedelta(minutes=90))


def test_unfreeze_lifts_only_its_own_and_tells_what_remains() -> None:
    Service.objects.create(name="cart")
    run("freeze", "--service", "cart")
    assert run("unfreeze").splitlines()[0] == "Nothing was frozen everywhere."
    assert "Still frozen: cart" in run("unfreeze")
    assert run("unfreeze", "--service", "cart") == "Lifted the freeze for cart.\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--service", "chart"], "There is no service named 'chart'"),
        (["--for", "soon"], "is no duration; write it like 30s, 5m or 1h30m"),
        (["--for", "99999y"], "out of range|too large|year"),
    ],
)
def test_freeze_says_what_is_wrong(arguments: list[str], words: str) -> None:
    with pytest.raises(CommandError, match=words):
        run("freeze", *arguments)
    assert not Freeze.objects.exists()


@pytest.mark.parametrize("name", ["incidents", "freeze", "unfreeze", "token"])
def test_help_teaches_by_examples(name: str, capsys: Any) -> None:
    with pytest.raises(SystemExit):
        call_command(name, "--help")
    assert capsys.readouterr().out.count(f"  manage.py {name}") >= 2
