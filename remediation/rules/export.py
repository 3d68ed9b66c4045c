"""Rules as the text of a file that `apply` reads back without a difference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import yaml

from remediation.combination import is_combined
from remediation.models import Rule
from remediation.rules import conditions, meaning
from remediation.rules.declared import severity_of
from remediation.rules.meaning import Meaning
from remediation.rules.plan import values_of_rule

_UNITS = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1))


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as blocks, no anchors, and lists set in."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)


def as_text(rules: Iterable[Rule], *, plain: bool = False) -> str:
    """YAML in groups by source, service and interval. `plain`: for Prometheus' loader, without what is ours."""
    groups: dict[tuple[str, str, float], list[Rule]] = {}
    for rule in rules:
        groups.setdefault((rule.source.name, rule.service.name if rule.service else "", rule.interval_s), []).append(
            rule
        )
    count = Counter(_group_name(source, service) for source, service, _ in groups)
    shown = [_group(key, groups[key], alone=count[_group_name(*key[:2])] == 1, plain=plain) for key in sorted(groups)]
    return yaml.dump({"groups": shown}, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


def for_prometheus(rule: Rule) -> bool:
    """Whether Prometheus can evaluate the rule as well."""
    return _expression(rule)[0] is not None and rule.enabled and not is_combined(rule)


def span(seconds: float) -> str:
    """A duration as Prometheus writes it: 1h30m."""
    rest, text = round(seconds * 1000), ""
    for unit, size in _UNITS:
        if rest >= size:
            text += f"{rest // size}{unit}"
            rest %= size
    return text or "0s"


def _group_name(source: str, service: str) -> str:
    return service or f"{source}, no service"


def _group(key: tuple[str, str, float], rules: list[Rule], *, alone: bool, plain: bool) -> dict[str, Any]:
    source, service, interval = key
    name = _group_name(source, service)
    group: dict[str, Any] = {"name": name if alone else f"{name}, {source}, every {span(interval)}"}
    group["interval"] = span(interval)
    if not plain:
        group["homeostat"] = {"source": source} | ({"service": service} if service else {})
    return group | {"rules": [_rule(rule, plain=plain) for rule in rules]}


def _rule(rule: Rule, *, plain: bool) -> dict[str, Any]:
    values = values_of_rule(rule)
    labels = dict(values["labels"])
    alert = labels.pop("alertname", rule.name)
    severity = labels.get("severity", values["severity"])
    expression, missing = _expression(rule)
    body: dict[str, Any] = {"alert": alert, "expr": values["query"] if expression is None else expression}
    for name, seconds in (("for", values["for_s"]), ("keep_firing_for", values["keep_firing_for_s"])):
        if seconds:
            body[name] = span(seconds)
    body["labels"] = {**labels, "severity": severity}
    if values["annotations"]:
        body["annotations"] = values["annotations"]
    own = _own(values, alert=alert, name=rule.name, severity=severity)
    if expression is None:
        own = {"detector": values["detector"], "params": values["params"]} | own
    elif missing != "ok":
        own = {"missing": missing} | own
    own |= conditions.as_own(values)
    return body | ({"homeostat": own} if own and not plain else {})


def _own(values: dict[str, Any], *, alert: str, name: str, severity: str) -> dict[str, Any]:
    own: dict[str, Any] = {"name": name} if name != alert else {}
    if severity_of(severity) != values["severity"]:
        own["severity"] = values["severity"]
    return own | ({} if values["enabled"] else {"enabled": False})


def _expression(rule: Rule) -> tuple[str | None, str]:
    """What Prometheus would evaluate, and what a missing series then has to mean for it to be read back the same."""
    found = Meaning(query=rule.query.strip(), detector=rule.detector, params=rule.params)
    for missing in ("ok", "unknown"):
        text = meaning.to_expression(found, missing=missing)
        if text is not None:
            return text, missing
    return None, "ok"
