"""Rules as files declare them: Prometheus' group format, and `homeostat:` for what only we have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from remediation import matchers, registry, texts
from remediation.conf import parse_duration
from remediation.exceptions import ConfigurationError
from remediation.models.base import LABEL_NAME
from remediation.rules import meaning, reading
from remediation.rules.meaning import Meaning
from remediation.rules.reading import Block, Items, Problem, Text, Unreadable
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
_SHARED_OWN = {"source", "service", "interval"}
_RULE_OWN = {*_SHARED_OWN, "name", "detector", "params", "enabled", "severity"}
_CRITICAL = {"critical", "page", "emergency", "fatal", "disaster", "high", "error", "p1", "sev1", "s1"}
_INFO = {"info", "none", "low", "debug", "notice", "information", "informational"}


@dataclass(frozen=True, kw_only=True)
class Declared:
    """One rule as a file has it. `written_labels`: with the severity label in the file's own words, or without one."""

    name: str
    alert: str
    meaning: Meaning
    expression: str
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


@dataclass(kw_only=True)
class Read:
    """What files came to: rules; notes on what was left out or is taken otherwise; recording rules."""

    rules: list[Declared] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)
    recordings: int = 0


def read(files: Iterable[tuple[str, str]], *, split: bool = True) -> Read:
    """The rules of (name, text) pairs, all with names of their own. Raises Unreadable with everything that is wrong."""
    result, problems = Read(), list[Problem]()
    for file, text in files:
        try:
            documents = reading.read(text, file=file)
        except Unreadable as error:
            problems += error.problems
            continue
        reader = _Reader(file, result, problems, split=split)
        for document in documents:
            reader.document(document)
        if not documents:
            result.notes.append(Problem(file=file, line=0, text="holds nothing"))
    result.rules = _named(result.rules, problems)
    if problems:
        raise Unreadable(problems)
    return result


class _Wrong(Exception):
    """Something in a file, at a line, that cannot be taken."""

    def __init__(self, line: int, text: str) -> None:
        self.line, self.text = line, text
        super().__init__(text)


class _Reader:
    """One file. Goes on after what is wrong, so that everything is said at once."""

    def __init__(self, file: str, result: Read, problems: list[Problem], *, split: bool) -> None:
        self.file, self.result, self.problems, self.split = file, result, problems, split

    def document(self, found: Any) -> None:
        try:
            block = _block(found, 1, "a rule file")
            if "spec" in block and "apiVersion" in block:  # Kubernetes' PrometheusRule around the same groups
                block = _block(block["spec"], block.line, "spec")
            _known_keys(block, _FILE_KEYS, "at the top of a rule file")
            own = _own(block, _SHARED_OWN)
            groups = _items(block, "groups")
        except _Wrong as wrong:
            self.problem(wrong)
            return
        names = Counter[str]()
        for group in groups:
            self.tried(self.group, group, own, names)

    def group(self, found: Any, own: Mapping[str, Any], names: Counter[str]) -> None:
        group = _block(found, getattr(found, "line", 0), "a group")
        _known_keys(group, _GROUP_KEYS | _GROUP_IGNORED, "in a group")
        name = _text(group, "name")
        if not name:
            raise _Wrong(group.line, "a group needs a name")
        names[name] += 1
        if names[name] > 1:
            raise _Wrong(group.line, f"there are two groups named {name!r}")
        for key in _GROUP_IGNORED & group.keys():
            self.note(group.lines[key], f"{key} is ignored: nothing here corresponds to it")
        own = {**own, **_own(group, _SHARED_OWN)}
        if "interval" in group and "interval" not in _own(group, _SHARED_OWN):
            own["interval"] = _duration(group, "interval")
        labels = _pairs(group, "labels")
        for rule in _items(group, "rules"):
            self.tried(self.rule, rule, own, labels, name)

    def rule(self, found: Any, own: Mapping[str, Any], group_labels: Mapping[str, str], group: str) -> None:
        if len(self.result.rules) + self.result.recordings >= MAX_RULES:
            raise _Wrong(getattr(found, "line", 0), f"more than {MAX_RULES} rules; divide them")
        block = _block(found, getattr(found, "line", 0), "a rule")
        if "record" in block:
            self.result.recordings += 1
            self.note(
                block.line, f"recording rule {_text(block, 'record')} skipped: Prometheus has to keep recording it"
            )
            return
        _known_keys(block, _RULE_KEYS, "in a rule")
        rule = self.declared(block, {**own, **_own(block, _RULE_OWN)}, group_labels, group)
        for name, text in [*rule.labels.items(), *rule.annotations.items()]:
            for template in texts.left_literal(text):
                self.note(block.line, f"{rule.alert}: {template} in {name} stays as it is written")
        self.result.rules.append(rule)

    def declared(self, block: Block, own: Mapping[str, Any], group_labels: Mapping[str, str], group: str) -> Declared:
        alert, expression = _text(block, "alert").strip(), _text(block, "expr").strip()
        if not alert or not expression:
            raise _Wrong(block.line, f"a rule needs {'an expr' if alert else 'a name under alert'}")
        written = {**group_labels, **_pairs(block, "labels")}
        if written.pop("alertname", None) is not None:
            self.note(block.line, f"{alert}: the label alertname is always the name of the alert")
        severity, labels = self.severity(written, own, block, alert)
        own_name = str(own.get("name", ""))
        return Declared(
            name=own_name or alert,
            alert=alert,
            meaning=_meaning(block, expression, own, split=self.split),
            expression=expression,
            source=own.get("source", ""),
            service=own.get("service", ""),
            interval_s=own.get("interval", DEFAULT_INTERVAL_S),
            for_s=_duration(block, "for"),
            keep_firing_for_s=_duration(block, "keep_firing_for"),
            severity=severity,
            labels=labels,
            written_labels=written,
            annotations=_pairs(block, "annotations"),
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
        except _Wrong as wrong:
            self.problem(wrong)

    def problem(self, wrong: _Wrong) -> None:
        self.problems.append(Problem(file=self.file, line=wrong.line, text=wrong.text))

    def note(self, line: int, text: str) -> None:
        self.result.notes.append(Problem(file=self.file, line=line, text=text))


def severity_of(word: str) -> str:
    """Ours for anybody's: page is critical, none is info, and whatever nobody knows is a warning."""
    word = word.strip().lower()
    return Severity.CRITICAL if word in _CRITICAL else Severity.INFO if word in _INFO else Severity.WARNING


def _meaning(block: Block, expression: str, own: Mapping[str, Any], *, split: bool) -> Meaning:
    """As the file says; without a word of it, as the expression allows."""
    name, given = own.get("detector", ""), own.get("params")
    line = block.lines.get("homeostat", block.line)
    if not name:
        if given is not None:
            raise _Wrong(line, "params need a detector that they are for")
        return meaning.of_expression(expression, split=split)
    if given is None and name != "expression":
        found = meaning.of_expression(expression)
        if found.detector == name:
            return found
    params = given or {}
    try:
        detector = registry.detector(name)
        detector.parse(params)
        if detector.source == "alerts":
            matchers.parse(expression)
    except ConfigurationError as error:
        raise _Wrong(line, str(error)) from None
    return Meaning(query=expression, detector=name, params=params)


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
    own = _block(block["homeostat"], block.lines["homeostat"], "homeostat")
    _known_keys(own, known, "under homeostat here")
    found = {key: _own_value(own, key) for key in own}
    return {key: value for key, value in found.items() if value is not None}


def _own_value(own: Block, key: str) -> Any:
    if key == "interval":
        return _duration(own, key)
    if key == "params":
        return reading.typed(_block(own[key], own.lines[key], "params"))
    text = _text(own, key)
    if key == "enabled":
        if text.lower() not in ("true", "false"):
            raise _Wrong(own.lines[key], "enabled is true or false")
        return text.lower() == "true"
    if key == "severity" and text not in list(Severity):
        raise _Wrong(own.lines[key], f"severity is {', '.join(Severity)} here; the label may be any word")
    return text


def _block(found: Any, line: int, what: str) -> Block:
    if not isinstance(found, Block):
        raise _Wrong(getattr(found, "line", line), f"{what} must be a mapping")
    return found


def _items(block: Block, key: str) -> Items | tuple[()]:
    found = block.get(key)
    if found is None and key == "groups":
        raise _Wrong(block.line, "there are no groups; a rule file begins with `groups:`")
    if found is None or reading.is_nothing(found):
        return ()
    if not isinstance(found, Items):
        raise _Wrong(block.lines[key], f"{key} must be a list")
    return found


def _text(block: Block, key: str) -> str:
    found = block.get(key)
    if found is None or reading.is_nothing(found):
        return ""
    if not isinstance(found, Text):
        raise _Wrong(block.lines[key], f"{key} must be a text")
    if "\x00" in found:
        raise _Wrong(block.lines[key], f"{key} holds a NUL character")
    return str(found)


def _pairs(block: Block, key: str) -> dict[str, str]:
    """Labels or annotations. An empty value is none, as in Prometheus."""
    if key not in block or reading.is_nothing(block[key]):
        return {}
    found = _block(block[key], block.lines[key], key)
    for name in found:
        if not LABEL_NAME.fullmatch(name):
            raise _Wrong(found.lines[name], f"{name!r} is no name for a label: letters, digits and underscores")
    return {name: _text(found, name) for name in found if _text(found, name)}


def _duration(block: Block, key: str) -> float:
    text = _text(block, key)
    if text in ("", "0"):
        if key == "interval":
            raise _Wrong(block.lines[key], "an interval is longer than nothing")
        return 0.0
    try:
        seconds = round(parse_duration(text), 3)
    except ValueError as error:
        raise _Wrong(block.lines[key], f"{key}: {error}") from None
    if key == "interval" and seconds < 1:
        raise _Wrong(block.lines[key], "an interval is at least 1s")
    return seconds


def _known_keys(block: Block, known: set[str], where: str) -> None:
    unknown = sorted(block.keys() - known)
    if unknown:
        line = min(block.lines[key] for key in unknown)
        raise _Wrong(line, f"{', '.join(unknown)} is unknown {where}; known: {', '.join(sorted(known))}")
