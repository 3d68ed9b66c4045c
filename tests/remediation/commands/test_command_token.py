"""Tokens are shown once and stored as a hash."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from remediation.models import IngestToken, Source

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def source() -> Source:
    return Source.objects.create(name="prom", url="http://127.0.0.1:1")


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("token", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue().strip()


def test_token_is_printed_and_found_again_by_its_hash(source: Source) -> None:
    token = run("prom", "alertmanager-1")
    row = IngestToken.find(token, now=datetime.now(UTC))
    assert row is not None
    assert (row.source, row.name, row.expires_at) == (source, "alertmanager-1", None)
    assert token not in str(vars(row))


def test_token_that_expires() -> None:
    token = run("prom", "am", "--for", "1h")
    assert IngestToken.find(token, now=datetime.now(UTC)) is not None
    assert IngestToken.find(token, now=datetime.now(UTC) + timedelta(hours=2)) is None


def test_revoke_ends_all_of_that_name() -> None:
    first, second, other = run("prom", "am"), run("prom", "am"), run("prom", "other")
    assert run("prom", "am", "--revoke") == "Revoked 2 tokens named am."
    now = datetime.now(UTC)
    assert [IngestToken.find(token, now=now) is not None for token in (first, second, other)] == [False, False, True]


def test_unknown_source_is_said() -> None:
    with pytest.raises(CommandError, match=r"There is no source named 'prod'. There are: prom\."):
        run("prod", "am")
