"""Rules as files declare them: Prometheus' group format, and `homeostat:` for what only we have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from remediation import texts
from remediation.rules import conditions, fields, reading
from remediation.rules.conditions import NOTHING, Further
from remediation.rules.meaning import Meaning
from remediation.rules.reading import Block, Problem, Unreadable
from remediation.states import Severity

DEFAULT_INTERVAL_S = 60.0
"""What a group without an interval gets; Prometheus' own default."""

MAX_RULES = 10_000
MAX_NAME = 100

_FILE_KEYS = {"groups", "homeostat", "namespace"}
_GROUP_KEYS = {"name", "interval", "rules", "labels", "homeostat"}
_GROUP_IGNORED = {
    *("limit", "query_offset", "evaluation_delay", "partial_response_strategy"),
    *("source_tenants", "align_evaluation_time_on_interval"),
}
_RULE_KEYS = {"alert", "expr", "for", "keep_firing_for", "labels", "annotations", "homeostat"}
_SHARED_OWN = {"source", "service", "interval", "missing"}
_RULE_OWN = {*_SHARED_OWN, *conditions.KEYS, "name", "detector", "params", "enabled", "severity"}
_TYPED: Mapping[str, Callable[[Block, str], Any]] = {
    "interval": fields.duration,
    "params": conditions.params,
    "conditions": fields.items,
    "minimum_traffic": conditions.number,
}
_CRITICAL = {"critical", "page", "emergency", "fatal", "disaster", "high", "error", "p1", "sev1", "s1"}
_INFO = {"info", "none", "low", "debug", "notice", "information", "informational"}


@dataclass(frozen=True, kw_only=True)
class Declared:
    """One rule as a file has it. `written_labels`: with the severity label in the file's own words, or without one."""

    name: str
    alert: str
    meaning: Meaning
    expression: str
    further: Further = NOTHING
    source: str = ""
    service: str = ""
    interval_s: float = DEFAULT_INTERVAL_S
    for_s: float = 0.0
    keep_firing_for_s: float = 0.0
    severity: str = Severity.WARNING
    labels: Mapping[str, str] = field(default_factory=dict)
    written_labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    enabled: bool = True
    group: str = ""
    named: bool = False
    file: str = ""
    line: int = 0
    query_line: int = 0

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, kw_only=True)
class Recording:
    """A recording rule: Prometheus keeps evaluating it; only unit tests do so here."""

    name: str
    expression: str
    labels: Mapping[str, str]


@dataclass(kw_only=True)
class Read:
    """What files came to: rules; notes on what was left out or is taken otherwise; recording rules."""

    rules: list[Declared] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)
    recordings: list[Recording] = field(default_factory=list)


def read(files: Iterable[tuple[str, str]], *, split: bool = True, missing: str = "ok") -> Read:
    """The rules of (name, text) pairs, all with names of their own. Raises Unreadable with everything that is wrong.

    split, missing: as in meaning.of_expression, for rules and files that do not say it themselves.
    """
    result, problems = Read(), list[Problem]()
    for file, text in files:
        try:
            documents = reading.read(text, file=file)
        except Unreadable as error:
            problems += error.problems
            continue
        reader = _Reader(file, result, problems, split=split, missing=missing)
        for document in documents:
            reader.document(document)
        if not documents:
            result.notes.append(Problem(file=file, line=0, text="holds nothing"))
    result.rules = _named(result.rules, problems)
    if problems:
        raise Unreadable(problems)
    return result


class _Reader:
    """One file. Goes on after what is wrong, so that everything is said at once."""

    def __init__(self, file: str, result: Read, problems: list[Problem], *, split: bool, missing: str) -> None:
        self.file, self.result, self.problems = file, result, problems
        self.split, self.missing = split, missing

    def document(self, found: Any) -> None:
        try:
            block = fields.block(found, 1, "a rule file")
            if "spec" in block and "apiVersion" in block:  # Kubernetes' PrometheusRule around the same groups
                block = fields.block(block["spec"], block.line, "spec")
            fields.known_keys(block, _FILE_KEYS, "at the top of a rule file")
            own = {"missing": self.missing, **_own(block, _SHARED_OWN)}
            groups = fields.items(block, "groups")
        except fields.Wrong as wrong:
            self.problem(wrong)
            return
        names = Counter[str]()
        for group in groups:
            self.tried(self.group, group, own, names)

    def group(self, found: Any, own: Mapping[str, Any], names: Counter[str]) -> None:
        group = fields.block(found, getattr(found, "line", 0), "a group")
        fields.known_keys(group, _GROUP_KEYS | _GROUP_IGNORED, "in a group")
        name = fields.text(group, "name")
        if not name:
            raise fields.Wrong(group.line, "a group needs a name")
        names[name] += 1
        if names[name] > 1:
            raise fields.Wrong(group.line, f"there are two groups named {name!r}")
        for key in _GROUP_IGNORED & group.keys():
            self.note(group.lines[key], f"{key} is ignored: nothing here corresponds to it")
        own = {**own, **_own(group, _SHARED_OWN)}
        if "interval" in group and "interval" not in _own(group, _SHARED_OWN):
            own["interval"] = fields.duration(group, "interval")
        labels = fields.pairs(group, "labels")
        for rule in fields.items(group, "rules"):
            self.tried(self.rule, rule, own, labels, name)

    def rule(self, found: Any, own: Mapping[str, Any], group_labels: Mapping[str, str], group: str) -> None:
        if len(self.result.rules) + len(self.result.recordings) >= MAX_RULES:
            raise fields.Wrong(getattr(found, "line", 0), f"more than {MAX_RULES} rules; divide them")
        block = fields.block(found, getattr(found, "line", 0), "a rule")
        if "record" in block:
            name = fields.text(block, "record")
            labels = {**group_labels, **fields.pairs(block, "labels")}
            expression = fields.text(block, "expr")
            self.result.recordings.append(Recording(name=name, expression=expression, labels=labels))
            self.note(block.line, f"recording rule {name} skipped: Prometheus has to keep recording it")
            return
        fields.known_keys(block, _RULE_KEYS, "in a rule")
        rule = self.declared(block, {**own, **_own(block, _RULE_OWN)}, group_labels, group)
        for name, text in [*rule.labels.items(), *rule.annotations.items()]:
            for template in texts.left_literal(text):
                self.note(block.line, f"{rule.alert}: {template} in {name} stays as it is written")
        self.result.rules.append(rule)

    def declared(self, block: Block, own: Mapping[str, Any], group_labels: Mapping[str, str], group: str) -> Declared:
        alert, expression = fields.text(block, "alert").strip(), fields.text(block, "expr").strip()
        if not alert or not expression:
            raise fields.Wrong(block.line, f"a rule needs {'an expr' if alert else 'a name under alert'}")
        written = {**group_labels, **fields.pairs(block, "labels")}
        if written.pop("alertname", None) is not None:
            self.note(block.line, f"{alert}: the label alertname is always the name of the alert")
        severity, labels = self.severity(written, own, block, alert)
        own_name, line = str(own.get("name", "")), block.lines.get("homeostat", block.line)
        return Declared(
            name=own_name or alert,
            alert=alert,
            meaning=conditions.meaning_of(expression, line, own, split=self.split),
            further=conditions.read(own, line, split=self.split),
            expression=expression,
            source=own.get("source", ""),
            service=own.get("service", ""),
            interval_s=own.get("interval", DEFAULT_INTERVAL_S),
            for_s=fields.duration(block, "for"),
            keep_firing_for_s=fields.duration(block, "keep_firing_for"),
            severity=severity,
            labels=labels,
            written_labels=written,
            annotations=fields.pairs(block, "annotations"),
            enabled=own.get("enabled", True),
            group=group,
            named=bool(own_name),
            file=self.file,
            line=block.line,
            query_line=getattr(block["expr"], "body", block.line),
        )

    def severity(
        self, written: Mapping[str, str], own: Mapping[str, Any], block: Block, alert: str
    ) -> tuple[str, dict[str, str]]:
        """Ours, and the labels to store: with the file's own word for the severity where it is another one."""
        labels, word = dict(written), written.get("severity", "")
        severity = own.get("severity") or severity_of(word)
        if word == severity:
            del labels["severity"]
        elif word and "severity" not in own:
            self.note(block.line, f"{alert}: severity {word!r} counts as {severity}")
        return severity, labels

    def tried(self, step: Callable[..., None], *arguments: Any) -> None:
        try:
            step(*arguments)
        except fields.Wrong as wrong:
            self.problem(wrong)

    def problem(self, wrong: fields.Wrong) -> None:
        self.problems.append(Problem(file=self.file, line=wrong.line, text=wrong.text))

    def note(self, line: int, text: str) -> None:
        self.result.notes.append(Problem(file=self.file, line=line, text=text))


def severity_of(word: str) -> str:
    """Ours for anybody's: page is critical, none is info, and whatever nobody knows is a warning."""
    word = word.strip().lower()
    return Severity.CRITICAL if word in _CRITICAL else Severity.INFO if word in _INFO else Severity.WARNING


def _named(rules: list[Declared], problems: list[Problem]) -> list[Declared]:
    """Every rule with a name of its own: alerts that occur several times are told apart by what differs."""
    count = Counter(rule.alert for rule in rules if not rule.named)
    twins: dict[str, list[Declared]] = {}
    for rule in rules:
        if not rule.named and count[rule.alert] > 1:
            twins.setdefault(rule.alert, []).append(rule)
    new = {id(rule): name for same in twins.values() for rule, name in zip(same, _told_apart(same), strict=True)}
    result = [replace(rule, name=new.get(id(rule), rule.name)) for rule in rules]
    seen: dict[str, Declared] = {}
    for at, rule in enumerate(result):
        if len(rule.name) > MAX_NAME:
            problems.append(_at(rule, f"the name {rule.name!r} is longer than {MAX_NAME} characters"))
        if rule.name in seen:
            problems.append(_at(rule, f"{rule.name!r} is also the name of the rule at {seen[rule.name].place}"))
        seen.setdefault(rule.name, rule)
        if rule.name != rule.alert:
            result[at] = replace(rule, labels={**rule.labels, "alertname": rule.alert})
    return result


def _told_apart(rules: list[Declared]) -> list[str]:
    for tell in (
        lambda rule: rule.written_labels.get("severity", rule.severity),
        lambda rule: rule.group,
        lambda rule: f"{rule.group}, {rule.written_labels.get('severity', rule.severity)}",
    ):
        names = [f"{rule.alert} ({tell(rule)})" for rule in rules]
        if len(set(names)) == len(names):
            return names
    return [f"{rule.alert} ({number})" for number, rule in enumerate(rules, start=1)]


def _at(rule: Declared, text: str) -> Problem:
    return Problem(file=rule.file, line=rule.line, text=text)


def _own(block: Block, known: set[str]) -> dict[str, Any]:
    """What stands under `homeostat:`."""
    if "homeostat" not in block or reading.is_nothing(block["homeostat"]):
        return {}
    own = fields.block(block["homeostat"], block.lines["homeostat"], "homeostat")
    fields.known_keys(own, known, "under homeostat here")
    found = {key: _own_value(own, key) for key in own}
    return {key: value for key, value in found.items() if value is not None}


def _own_value(own: Block, key: str) -> Any:
    if key in _TYPED:
        return _TYPED[key](own, key)
    text = fields.text(own, key)
    if key == "traffic":
        return own[key] if text else text  # the former knows its line
    if key == "enabled":
        if text.lower() not in ("true", "false"):
            raise fields.Wrong(own.lines[key], "enabled is true or false")
        return text.lower() == "true"
    if key == "missing" and text not in ("ok", "unknown"):
        raise fields.Wrong(own.lines[key], "missing is ok, as in Prometheus, or unknown")
    if key == "severity" and text not in list(Severity):
        raise fields.Wrong(own.lines[key], f"severity is {', '.join(Severity)} here; the label may be any word")
    return text
