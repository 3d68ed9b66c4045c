"""Script: one executable of the allowed folder, with arguments from the plan and nothing in between."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from pathlib import Path
from typing import Annotated, Any, cast

from pydantic import Field

from remediation import registry
from remediation.exceptions import ConfigurationError, EffectNotStarted, EffectUncertain
from remediation.redact import redact
from remediation.targets import child
from remediation.targets.base import Attempt, Backend, Effect, Facts, Found, Runs, TargetRef

FOLDER = "HOMEOSTAT_SCRIPTS"
"""Names, in the environment of the workers, the one folder that scripts are taken from; unset, there are none."""
LOOK_UP = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
SHOWN = 32
"""Hexadecimal digits of a script's digest that stand in a plan."""
DONE, NOT_DONE = 0, 1
"""What the probe script ends with; anything else means that it cannot tell."""

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$")]
Word = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]{0,500}$")]


class ScriptParams(registry.Params):
    script: Name = Field(description=f"Name of an executable in the folder that {FOLDER} names.")
    arguments: list[Word] = Field(
        default=[],
        max_length=30,
        description="One word each, handed over as they are. {label} is looked up among the target's labels and the "
        "step's arguments; what comes out has to fit `allowed`. There is no shell.",
    )
    allowed: str = Field(
        default=r"[A-Za-z0-9_][A-Za-z0-9_.:/@-]{0,199}",
        max_length=200,
        description="Regular expression that every looked-up value has to fit as a whole.",
    )
    probe: Name | None = Field(
        default=None, description="Another one: 0 says that the run of HOMEOSTAT_KEY took place, 1 that it did not."
    )


class Script(Runs, Backend):
    """A program of your own, started by the worker, with a minimal environment, and killed with all that it
    started at the deadline. HOMEOSTAT_KEY is the same for every try of one remediation, and HOMEOSTAT_FENCE rises with
    every claim; the probe is given both, and asked about the run of that key."""

    name = "script"
    label = "Script"
    Params = ScriptParams

    def state(self, target: TargetRef, *, timeout_s: float = 5.0) -> Facts:
        name = _params(target).script
        try:
            with path_of(name).open("rb") as file:  # an approval is for what the script says, not for its name
                return {"script": name, "sha256": hashlib.file_digest(file, "sha256").hexdigest()[:SHOWN]}
        except OSError as error:
            raise EffectNotStarted(f"the script {name} cannot be read: {error.strerror}") from error

    def check(self, target: TargetRef, *, timeout_s: float = 5.0) -> None:
        params = _params(target)
        for name in filter(None, (params.script, params.probe)):
            path_of(name)
        _pattern(params)

    def run(self, target: TargetRef, arguments: Facts, attempt: Attempt) -> Effect:
        try:
            argv = argv_of(target, arguments)
        except ConfigurationError as error:
            raise EffectNotStarted(str(error)) from error
        folder = Path(argv[0]).parent
        ended = child.run(argv, timeout_s=attempt.timeout_s, cwd=folder, environment=_named(attempt))
        said = redact(ended.output.strip())
        if ended.status == 0:
            return Effect(output=said or "ended with 0", facts={"took_s": round(ended.took_s, 1)})
        how = "was killed at its deadline" if ended.timed_out else f"ended with {ended.status or 'a signal'}"
        raise EffectUncertain(f"{_params(target).script} {how}: {said}")

    def run_text(self, target: TargetRef, arguments: Facts) -> str:
        path, *words = argv_of(target, arguments)
        return " ".join(
            [Path(path).name, *(word if re.fullmatch(r"[\w.:/@=-]+", word) else repr(word) for word in words)]
        )

    def ran(
        self, target: TargetRef, arguments: Facts, *, timeout_s: float = 5.0, attempt: Attempt | None = None
    ) -> Found:
        probe = _params(target).probe
        if probe is None:
            return super().ran(target, arguments, timeout_s=timeout_s, attempt=attempt)
        argv = [str(path_of(probe)), *argv_of(target, arguments)[1:]]
        ended = child.run(argv, timeout_s=timeout_s, environment=_named(attempt))
        done = {DONE: True, NOT_DONE: False}.get(-1 if ended.status is None else ended.status)
        return Found(done=done, reason=redact(ended.output.strip()) or f"{probe} ended with {ended.status}")


def _named(attempt: Attempt | None) -> dict[str, str]:
    return {"HOMEOSTAT_KEY": attempt.key, "HOMEOSTAT_FENCE": str(attempt.fence)} if attempt is not None else {}


def argv_of(target: TargetRef, arguments: Facts) -> list[str]:
    """The exact call. Raises ConfigurationError where a look-up has no value, or one that is not allowed."""
    params = _params(target)
    values = {**target.labels, "target": target.name, "service": target.service, **arguments}
    return [str(path_of(params.script)), *(_filled(word, values, _pattern(params)) for word in params.arguments)]


def _filled(word: str, values: Facts, allowed: re.Pattern[str]) -> str:
    def look_up(match: re.Match[str]) -> str:
        value = _as_word(values.get(match[1]))
        if value is None:
            raise ConfigurationError(f"nothing is called {match[1]} here: {word} cannot be filled")
        if not allowed.fullmatch(value):
            raise ConfigurationError(
                f"the value of {match[1]} does not fit what this target allows ({allowed.pattern})"
            )
        return value

    return LOOK_UP.sub(look_up, word)


def _as_word(value: Any) -> str | None:
    return None if value is None else str(value)


def _pattern(params: ScriptParams) -> re.Pattern[str]:
    try:
        return re.compile(params.allowed)
    except re.error as error:
        raise ConfigurationError(f"allowed is no regular expression: {error}") from error


def path_of(name: str) -> Path:
    """Where an allowed script lies. Raises ConfigurationError: it is missing, a link that leads out, writable for
    everyone, or not executable."""
    folder = os.environ.get(FOLDER, "")
    if not folder:
        raise ConfigurationError(f"no scripts are allowed here: {FOLDER} is not set where Homeostat runs")
    root = Path(folder).resolve()
    try:
        path = (root / name).resolve(strict=True)
        found, around = path.stat(), root.stat()
    except OSError as error:
        raise ConfigurationError(f"the script {name} cannot be read: {error.strerror}") from error
    if not path.is_relative_to(root):
        raise ConfigurationError(f"the script {name} is a link out of {root}")
    if (found.st_mode | around.st_mode) & stat.S_IWOTH:
        raise ConfigurationError(f"the script {name}, or the folder it is in, can be written by everyone")
    if not stat.S_ISREG(found.st_mode) or not os.access(path, os.X_OK):
        raise ConfigurationError(f"the script {name} is no file that Homeostat may execute")
    return path


def _params(target: TargetRef) -> ScriptParams:
    return cast(ScriptParams, target.params)
