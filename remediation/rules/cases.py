"""Files of unit tests for rules, in the format of `promtool test rules`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from remediation.exceptions import ConfigurationError
from remediation.rules import declared, fields, notation, reading
from remediation.rules.declared import Read
from remediation.rules.notation import Given
from remediation.rules.reading import Block, Problem, Unreadable

_TOP = {"rule_files", "evaluation_interval", "group_eval_order", "tests", "fuzzy_compare"}
_GROUP = {"interval", "input_series", "alert_rule_test", "promql_expr_test", "external_labels", "external_url", "name"}
_IGNORED = {"promql_expr_test", "external_labels", "external_url", "group_eval_order", "fuzzy_compare"}


@dataclass(frozen=True, kw_only=True, order=True)
class Fired:
    """An alert that fires, as a test compares it."""

    labels: tuple[tuple[str, str], ...]
    annotations: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, labels: Mapping[str, str], annotations: Mapping[str, str]) -> Fired:
        return cls(labels=tuple(sorted(labels.items())), annotations=tuple(sorted(annotations.items())))

    def __str__(self) -> str:
        return f"Labels:{_shown(self.labels)} Annotations:{_shown(self.annotations)}"


@dataclass(frozen=True, kw_only=True)
class Case:
    """What must fire under one name at one time; seconds from the start."""

    at: float
    alert: str
    expected: tuple[Fired, ...]
    line: int


@dataclass(frozen=True, kw_only=True)
class Group:
    """One set of series with what is expected of them."""

    name: str
    interval_s: float
    series: tuple[Given, ...]
    cases: tuple[Case, ...]
    line: int


@dataclass(kw_only=True)
class Trial:
    """One file of tests, read."""

    file: str
    interval_s: float = 60.0
    rules: Read = field(default_factory=Read)
    groups: list[Group] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)


def read(path: Path) -> Trial:
    """A file of tests with the rule files it names. Raises Unreadable with everything that is wrong."""
    return _Reader(path).trial()


class _Reader:
    def __init__(self, path: Path) -> None:
        self.path, self.file = path, str(path)
        self.problems: list[Problem] = []
        self.found = Trial(file=self.file)

    def trial(self) -> Trial:
        try:
            documents = reading.read(content(self.path), file=self.file)
            top = fields.block(documents[0] if documents else None, 1, "a file of tests")
            self.top(top)
        except fields.Wrong as wrong:
            self.problem(wrong)
        if self.problems:
            raise Unreadable(self.problems)
        return self.found

    def top(self, top: Block) -> None:
        fields.known_keys(top, _TOP, "in a file of tests")
        self.notes(top)
        self.found.interval_s = fields.duration(top, "evaluation_interval") or 60.0
        names = [self.path.parent / str(name) for name in fields.items(top, "rule_files")]
        paths = [path for name in names for path in _matching(name)]
        if not paths:
            raise fields.Wrong(top.line, "no file is named under rule_files, or none of them exists")
        self.found.rules = declared.read([(str(path), content(path)) for path in paths])
        for item in fields.items(top, "tests"):
            try:
                self.found.groups.append(self.group(fields.block(item, top.line, "a test")))
            except fields.Wrong as wrong:
                self.problem(wrong)

    def group(self, block: Block) -> Group:
        fields.known_keys(block, _GROUP, "in a test")
        self.notes(block)
        interval = fields.duration(block, "interval") if "interval" in block else self.found.interval_s
        return Group(
            name=fields.text(block, "name"),
            interval_s=interval,
            series=tuple(self.series(item, block) for item in fields.items(block, "input_series")),
            cases=tuple(self.case(item, block) for item in fields.items(block, "alert_rule_test")),
            line=block.line,
        )

    def series(self, item: Any, within: Block) -> Given:
        block = fields.block(item, within.line, "a series")
        fields.known_keys(block, {"series", "values"}, "in a series")
        try:
            return notation.given(fields.text(block, "series"), fields.text(block, "values"))
        except ConfigurationError as error:
            raise fields.Wrong(block.line, str(error)) from None

    def case(self, item: Any, within: Block) -> Case:
        block = fields.block(item, within.line, "an alert_rule_test")
        fields.known_keys(block, {"eval_time", "alertname", "exp_alerts"}, "in an alert_rule_test")
        alert = fields.text(block, "alertname")
        if not alert:
            raise fields.Wrong(block.line, "say under alertname which alert is meant")
        expected = [self.expected(one, block, alert) for one in fields.items(block, "exp_alerts")]
        at = fields.duration(block, "eval_time")
        return Case(at=at, alert=alert, expected=tuple(expected), line=block.line)

    def expected(self, item: Any, within: Block, alert: str) -> Fired:
        block = fields.block(item, within.line, "an expected alert")
        fields.known_keys(block, {"exp_labels", "exp_annotations"}, "in an expected alert")
        return Fired.of(
            fields.pairs(block, "exp_labels") | {"alertname": alert}, fields.pairs(block, "exp_annotations")
        )

    def notes(self, block: Block) -> None:
        for key in sorted(_IGNORED & block.keys()):
            self.found.notes.append(Problem(file=self.file, line=block.lines[key], text=f"{key} is left to promtool"))

    def problem(self, wrong: fields.Wrong) -> None:
        self.problems.append(Problem(file=self.file, line=wrong.line, text=wrong.text))


def content(path: Path) -> str:
    """Raises Unreadable."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = (error.strerror or "it cannot be opened") if isinstance(error, OSError) else "it is no UTF-8 text"
        raise Unreadable([Problem(file=str(path), line=0, text=f"cannot be read: {why}")]) from None


def _matching(name: Path) -> list[Path]:
    """The files that a name with * or ? stands for; the name itself where it has none."""
    return sorted(name.parent.glob(name.name)) if set("*?[") & set(name.name) else [name]


def _shown(pairs: tuple[tuple[str, str], ...]) -> str:
    return "{" + ", ".join(f"{name}={json.dumps(text, ensure_ascii=False)}" for name, text in pairs) + "}"
