"""Scripts: which ones are run, with which words, and what is certain afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from remediation.exceptions import ConfigurationError, EffectNotStarted, EffectUncertain
from remediation.targets.base import Attempt, TargetRef
from remediation.targets.script import Script, path_of

ATTEMPT = Attempt(key="key-1", fence=3, timeout_s=20)
BACKEND = Script()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tmp_path / "scripts"
    made.mkdir(mode=0o755)
    monkeypatch.setenv("HOMEOSTAT_SCRIPTS", str(made))
    return made


def script(folder: Path, body: str, *, name: str = "mend", mode: int = 0o755) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(mode)
    return path


def target(**params: Any) -> TargetRef:
    parsed = BACKEND.parse({"script": "mend"} | params)
    return TargetRef(
        id=1, name="app-1", service="web", backend="script", params=parsed, labels={"zone": "a", "bad": "; reboot"}
    )


def test_words_are_handed_over_as_they_are_and_looked_up(folder: Path) -> None:
    script(folder, 'printf "%s|" "$@" "$HOMEOSTAT_KEY" "$HOMEOSTAT_FENCE"')
    words = ["--zone={zone}", "{target}", "$(id)", "; ls", "{{7*7}}", "{n}"]
    effect = BACKEND.run(target(arguments=words), {"n": 4}, ATTEMPT)
    assert effect.output == "--zone=a|app-1|$(id)|; ls|{{7*7}}|4|key-1|3|"


@pytest.mark.parametrize("word", ["{bad}", "{missing}"])
def test_value_that_is_missing_or_not_allowed_starts_nothing(folder: Path, word: str) -> None:
    script(folder, f"touch {folder}/ran")
    with pytest.raises(EffectNotStarted):
        BACKEND.run(target(arguments=[word]), {}, ATTEMPT)
    with pytest.raises(EffectNotStarted):
        BACKEND.run(target(arguments=["{n}"]), {"n": "--force\n"}, ATTEMPT)
    assert not (folder / "ran").exists()


def test_other_than_zero_is_uncertain_and_says_what_was_said_without_secrets(folder: Path) -> None:
    script(folder, "echo password=hunter2 is wrong; exit 7")
    with pytest.raises(EffectUncertain, match=r"ended with 7: password=\*\*\* is wrong"):
        BACKEND.run(target(), {}, ATTEMPT)


def test_one_that_hangs_is_killed(folder: Path) -> None:
    script(folder, "sleep 60")
    with pytest.raises(EffectUncertain, match="killed at its deadline"):
        BACKEND.run(target(), {}, Attempt(key="k", fence=1, timeout_s=0.5))


@pytest.mark.parametrize(("status", "done"), [(0, True), (1, False), (2, None)])
def test_probe_script_tells(folder: Path, status: int, done: bool | None) -> None:
    script(folder, "true")
    script(folder, f"exit {status}", name="did-it")
    assert BACKEND.ran(target(probe="did-it"), {}).done is done
    assert BACKEND.ran(target(), {}).done is None


def test_probe_script_is_told_which_run_it_is_asked_about(folder: Path) -> None:
    script(folder, "true")
    script(folder, 'echo "$HOMEOSTAT_KEY $HOMEOSTAT_FENCE"', name="did-it")
    asked = Attempt(key="key-1", fence=4, timeout_s=1)
    assert BACKEND.ran(target(probe="did-it"), {}, attempt=asked).reason == "key-1 4"


def test_only_executables_of_the_folder_are_allowed(folder: Path, tmp_path: Path) -> None:
    script(tmp_path, "true", name="outside")
    (folder / "link").symlink_to(tmp_path / "outside")
    script(folder, "true", name="everyone", mode=0o777)
    script(folder, "true", name="plain", mode=0o644)
    (folder / "sub").mkdir()
    for name, why in {
        "link": "link out",
        "everyone": "written by everyone",
        "plain": "execute",
        "sub": "execute",
        "gone": "cannot be read",
        "../outside": "link out",
    }.items():
        with pytest.raises(ConfigurationError, match=why):
            path_of(name)
    (folder / "inside").symlink_to(script(folder, "true"))
    assert path_of("inside") == (folder / "mend").resolve()


def test_folder_that_everyone_may_write_or_that_is_not_named_allows_none(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(folder, "true")
    folder.chmod(0o777)
    with pytest.raises(ConfigurationError, match="written by everyone"):
        BACKEND.check(target())
    monkeypatch.delenv("HOMEOSTAT_SCRIPTS")
    with pytest.raises(ConfigurationError, match="not set"):
        BACKEND.check(target())


def test_name_with_a_path_is_refused() -> None:
    with pytest.raises(ConfigurationError):
        BACKEND.parse({"script": "../outside"})


def test_script_that_was_edited_is_another_state_also_where_it_is_as_long(folder: Path) -> None:
    """So that a plan which was approved for the old one is superseded."""
    script(folder, "exit 0")
    before = BACKEND.state(target())
    assert BACKEND.state(target()) == before
    script(folder, "exit 1")
    assert BACKEND.state(target()) != before
