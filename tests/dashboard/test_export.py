"""The post-mortem as Markdown: complete, and nothing from outside breaks out of its place."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from dashboard.pages.markdown import LONGEST, fenced, inline, quoted, row
from remediation.models import Approval, Incident, Note, record
from tests.dashboard import factories

HOSTILE = (
    "a|b\n# no heading\n```\n<script>alert(1)</script> [x](javascript:alert(1)) ![y](http://e.example/z) **b** `c`\n---"
)
SPECIAL = re.compile(r"(?<!\\)[`*_\[\]#|~<>]")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a|b", r"a\|b"),
        ("a\nb\r\n\tc", "a b c"),
        ("`code`", r"\`code\`"),
        ("<b>&", "&lt;b&gt;&amp;"),
        ("[x](y) ![z](y)", r"\[x\](y) !\[z\](y)"),
        ("1. one", r"1\. one"),
        ("# head", r"\# head"),
        ("- item-2", r"\- item-2"),
        ("=== ", r"\==="),
        ("app-2 (10.0.0.1): 0.5", "app-2 (10.0.0.1): 0.5"),
        ("a\\|b", r"a\\\|b"),
        ("https://e.example www.e.example @team", r"https\://e.example www&#46;e.example &#64;team"),
        ("a\x00\x1b\u202eb", "a\ufffd\ufffd\ufffdb"),
    ],
)
def test_every_sign_that_means_something_is_escaped(text: str, written: str) -> None:
    assert inline(text) == written


def test_a_cell_cannot_end_its_row() -> None:
    line = row("a", HOSTILE, "z")
    assert "\n" not in line
    assert len(re.findall(r"(?<!\\)\|", line)) == 4
    assert not SPECIAL.search(re.sub(r"(?<!\\)\|", "", line))


def test_a_backslash_at_the_end_does_not_eat_the_border() -> None:
    assert row("a\\", "b") == "| a\\\\ | b |"


@pytest.mark.parametrize("text", ["```\nout", "````", "~~~\n```` x", "", "a`b", "`" * 40])
def test_output_cannot_close_its_fence(text: str) -> None:
    lines = fenced(text).splitlines()
    fence = lines[-1]
    assert set(fence) == {"`"}
    assert lines[0] == f"{fence}text"
    assert not [line for line in lines[1:-1] if line.lstrip().startswith(fence)]


def test_a_quotation_stays_one() -> None:
    assert quoted("one\n\n# two\r\n    three") == "> one\n>\n> \\# two\n> three"


def test_what_is_endless_is_cut() -> None:
    assert len(fenced("x" * (LONGEST * 3))) < LONGEST + 100


@pytest.fixture
def viewer(client: Client) -> Client:
    client.force_login(factories.a_user("viewer"))
    return client


def a_told_incident() -> Incident:
    service = factories.a_service("web", title="Web")
    rule = factories.a_rule(service, "Errors", annotations={"summary": "{instance} fails"})
    found = factories.an_incident(rule, labels={"instance": HOSTILE}, reason=HOSTILE, age_s=900)
    ann = factories.a_user("approver", name="ann")
    Incident.objects.filter(pk=found.pk).update(acknowledged_by=ann, acknowledged_at=timezone.now())
    record(found, "acknowledged", now=timezone.now(), actor="ann")
    factories.a_decision(found, summary=f"Held: {HOSTILE}")
    done = factories.a_remediation(
        found,
        state="verified",
        output="password=hunter2hunter2\n```\n# not a heading\n```",
        reason=HOSTILE,
        effect_started_at=timezone.now() - timedelta(seconds=60),
        checks=[
            {
                "at": timezone.now().timestamp(),
                "verdict": "ok",
                "value": 1.0,
                "reason": HOSTILE,
                "counts": True,
                "sample_at": 1.0,
            }
        ],
    )
    Approval.objects.create(
        remediation=done, user=ann, answer="approve", digest=done.digest, reason="go|go", at=timezone.now()
    )
    Note.objects.create(incident=found, author="bob", text=HOSTILE, at=timezone.now())
    return found


@pytest.mark.django_db
def test_the_post_mortem_tells_all(viewer: Client) -> None:
    found = a_told_incident()
    answer = viewer.get(f"/incidents/{found.pk}/post-mortem.md")
    assert answer["Content-Type"] == "text/markdown; charset=utf-8"
    assert answer["Content-Disposition"] == f'attachment; filename="incident-{found.pk}.md"'
    text = answer.content.decode()
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert [one.removeprefix("## ") for one in headings if "restart" not in one] == [
        *("Summary", "Impact", "Cause", "What we will change", "What fired", "Timeline", "Decision", "Notes")
    ]
    assert f"(http://testserver/incidents/{found.pk}/chart.png)" in text
    for part in (*("| Detected |", "| Acknowledged |", "(ann)", r"go\|go", "| ann | Approve | ", "Cooldown", "bob, "),):
        assert part in text, part
    assert re.search(r"\| First effect \| \d{4}-", text)


@pytest.mark.django_db
def test_nothing_from_outside_breaks_out_and_secrets_stay_in(viewer: Client) -> None:
    found = a_told_incident()
    text = viewer.get(f"/incidents/{found.pk}/post-mortem.md").content.decode()
    assert "hunter2" not in text
    outside = re.sub(r"^(`{3,})text\n.*?^\1$", "", text, flags=re.S | re.M)
    assert "<script" not in outside
    assert "# no heading" not in re.sub(r"\\#", "", outside)
    assert not re.search(r"(?<!\\)\]\(javascript", outside)
    assert not [line for line in outside.splitlines() if line.startswith(("---", "```"))]
    links = re.findall(r"(?<!\\)\]\(([^)]*)\)", outside)
    assert {link.partition("/incidents/")[0] for link in links} == {"http://testserver"}


@pytest.mark.django_db
def test_an_incident_that_only_began_has_one_too(viewer: Client) -> None:
    found = factories.an_incident(factories.a_rule(None), state="pending")
    text = viewer.get(f"/incidents/{found.pk}/post-mortem.md").content.decode()
    assert "| Recovered | not yet |" in text
    assert viewer.get("/incidents/999/post-mortem.md").status_code == 404
