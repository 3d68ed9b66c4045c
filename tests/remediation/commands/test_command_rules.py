"""`manage.py rules`: what it prints, what it asks, and the exit status that scripts see."""

from __future__ import annotations

import io
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from remediation.models import Rule, Source

pytestmark = pytest.mark.django_db

TEXT = """groups:
  - name: g
    rules:
      - record: a:b
        expr: a
      - alert: Down
        expr: up == 0
        labels: {severity: critical}
"""


@pytest.fixture(autouse=True)
def source() -> Source:
    return Source.objects.create(name="main", url="http://127.0.0.1:1")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.yml"
    path.write_text(TEXT)
    return path


def run(*arguments: Any, **options: Any) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("rules", *map(str, arguments), stdout=out, stderr=err, **options)
    return out.getvalue(), err.getvalue()


def test_apply_shows_a_plan_and_does_it(file: Path) -> None:
    out, err = run("apply", file, "--yes")
    assert out == f"+ Down  ({file}:6)\n    expression: up == 0\n1 to add; 0 unchanged.\nDone.\n"
    assert err == f"note: {file}:4: recording rule a:b skipped: Prometheus has to keep recording it\n"
    rule = Rule.objects.get()
    assert rule.managed_by == "files" and rule.versions.get().author.endswith("(terminal), files")
    assert run("apply", file, "--yes")[0] == "Nothing to do; 1 unchanged.\n"


def test_apply_without_anybody_to_ask_does_nothing(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(TEXT))
    with pytest.raises(CommandError, match="nobody to ask; --yes applies without asking"):
        run("apply", file)
    with pytest.raises(CommandError, match="standard input need --yes"):
        run("apply", "-")
    assert not Rule.objects.exists()


@pytest.mark.parametrize(("answer", "count"), [("y", 1), ("", 0), ("no", 0)])
def test_apply_asks(file: Path, monkeypatch: pytest.MonkeyPatch, answer: str, count: int) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda prompt: answer)
    if count:
        run("apply", file)
    else:
        with pytest.raises(CommandError, match="Nothing was done"):
            run("apply", file)
    assert Rule.objects.count() == count


def test_standard_input_and_export_are_each_others_way_back(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("apply", file, "--yes")
    monkeypatch.setattr("sys.stdin", io.StringIO(run("export")[0]))
    assert run("apply", "-", "--yes")[0] == "Nothing to do; 1 unchanged.\n"


def test_diff_ends_with_1_when_there_are_differences(file: Path) -> None:
    with pytest.raises(CommandError) as caught:
        run("diff", file)
    assert caught.value.returncode == 1 and not Rule.objects.exists()
    run("apply", file, "--yes")
    assert run("diff", file)[0] == "Nothing to do; 1 unchanged.\n"


def test_a_rule_made_by_hand_is_left_alone(file: Path, source: Source) -> None:
    Rule.objects.create(name="Down", source=source, query="up", detector="expression")
    with pytest.raises(CommandError, match="some of these rules are managed elsewhere"):
        run("apply", file, "--yes")
    run("apply", file, "--yes", "--take-over")
    assert Rule.objects.get().managed_by == "files"


def test_a_folder_stands_for_its_files(file: Path) -> None:
    (file.parent / "b.yaml").write_text("groups: [{name: h, rules: [{alert: B, expr: b}]}]")
    (file.parent / "c.txt").write_text("no yaml: [")
    assert run("check", file.parent)[0] == "Nothing is wrong with 2 rules; 1 recording rule skipped.\n"


def test_no_split_keeps_expressions_whole(file: Path) -> None:
    run("apply", file, "--yes", "--no-split")
    assert Rule.objects.get().query == "up == 0"
    assert "detector" not in run("export", "--plain")[0]
    run("apply", file, "--yes", "--missing", "unknown")
    assert Rule.objects.get().detector == "threshold"
    assert "missing: unknown" in run("export")[0]


def test_check_says_everything_with_its_line(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yml"
    wrong.write_text("groups:\n- name: g\n  rules:\n  - alert: A\n    expr: a\n    for: long\n  - alert: B\n")
    with pytest.raises(CommandError) as caught:
        run("check", wrong)
    assert str(caught.value).splitlines() == [
        f"{wrong}:6: for: 'long' is no duration; write it like 30s, 5m or 1h30m",
        f"{wrong}:7: a rule needs an expr",
    ]


def test_a_file_that_builds_objects_is_refused(tmp_path: Path) -> None:
    evil = tmp_path / "evil.yml"
    evil.write_text("groups: !!python/object/apply:os.system ['touch /tmp/x']")
    with pytest.raises(CommandError, match=r":1: the tag !!python/object/apply:os.system is refused"):
        run("check", evil)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("check", "/nowhere/a.yml"), "/nowhere/a.yml cannot be read: No such file or directory"),
        (("check", "/nowhere/a.yml", "--source", "nope"), "cannot be read"),
        (("export", "--source", "nope"), "There is no source named 'nope'"),
        (("library", "show", "nope"), "The library has no 'nope'; it has"),
    ],
)
def test_wrong_words_are_answered_in_words(arguments: tuple[str, ...], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        run(*arguments)


@pytest.mark.parametrize("verb", ["export", "diff", "apply", "check", "test", "library"])
def test_help_teaches(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(verb, "--help")
    assert f"manage.py rules {verb}" in capsys.readouterr().out
