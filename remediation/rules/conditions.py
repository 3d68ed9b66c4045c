"""What a rule in a file asks: its expression, and under `homeostat:` further conditions, how many of them must be bad,
and traffic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from remediation import matchers, registry
from remediation.exceptions import ConfigurationError
from remediation.models import Rule
from remediation.rules import fields, meaning, reading
from remediation.rules.meaning import Meaning
from remediation.rules.reading import Block

KEYS = {"conditions", "need", "traffic", "minimum_traffic"}
_CONDITION_KEYS = {"name", "query", "expr", "detector", "params"}


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One further condition. line: where its query stands in the file."""

    name: str
    meaning: Meaning
    line: int

    def stored(self) -> dict[str, Any]:
        """As the row of a rule has it."""
        own = {"query": self.meaning.query, "detector": self.meaning.detector, "params": dict(self.meaning.params)}
        return ({"name": self.name} if self.name else {}) | own


@dataclass(frozen=True, kw_only=True)
class Further:
    """What a rule asks beside its expression. line: where the query of the traffic stands in the file."""

    conditions: tuple[Condition, ...] = ()
    need: str = "all"
    traffic: str = ""
    minimum_traffic: float = 0.0
    line: int = 0

    def queries(self) -> Iterator[tuple[str, int]]:
        """What is asked of samples, with the line where it stands."""
        for one in self.conditions:
            if registry.detector(one.meaning.detector).source == "samples":
                yield one.meaning.query, one.line
        if self.traffic:
            yield self.traffic, self.line

    def values(self) -> dict[str, Any]:
        """As the fields of a rule."""
        return {
            "conditions": [one.stored() for one in self.conditions],
            "need": self.need,
            "traffic_query": self.traffic,
            "minimum_traffic": self.minimum_traffic,
        }


NOTHING = Further()


def read(own: Mapping[str, Any], line: int, *, split: bool) -> Further:
    """What is under `homeostat:` at a line. Raises Wrong."""
    conditions = [_condition(one, line, own, split=split) for one in own.get("conditions", ())]
    found = Further(
        conditions=tuple(conditions),
        need=own.get("need") or "all",
        traffic=own.get("traffic", "").strip(),
        minimum_traffic=own.get("minimum_traffic", 0.0),
        line=getattr(own.get("traffic"), "body", line),
    )
    try:
        Rule(**found.values()).needed  # noqa: B018 - it says what is wrong with it
    except ConfigurationError as error:
        raise fields.Wrong(line, str(error)) from None
    if bool(found.traffic) != (found.minimum_traffic > 0):
        raise fields.Wrong(line, "traffic, which is a query, and minimum_traffic, above 0, belong together")
    return found


def meaning_of(expression: str, line: int, own: Mapping[str, Any], *, split: bool) -> Meaning:
    """As the file says under detector, params and missing; without a word of it, as the expression allows. Raises
    Wrong at the line."""
    detector, given = own.get("detector", ""), own.get("params")
    if not detector:
        if given is not None:
            raise fields.Wrong(line, "params need a detector that they are for")
        return meaning.of_expression(expression, split=split, missing=own.get("missing", "ok"))
    if given is None and detector != "expression":
        found = meaning.of_expression(expression, missing="unknown")
        if found.detector == detector:
            return found
    try:
        plugin = registry.detector(detector)
        plugin.parse(given or {})
        if plugin.source == "alerts":
            matchers.parse(expression)
    except ConfigurationError as error:
        raise fields.Wrong(line, str(error)) from None
    return Meaning(query=expression, detector=detector, params=given or {})


def number(within: Block, key: str) -> float:
    """A number of 0 or more. Raises Wrong."""
    written = fields.text(within, key)
    try:
        found = float(written or 0)
    except ValueError:
        found = -1.0
    if not 0 <= found < float("inf"):
        raise fields.Wrong(within.lines[key], f"{key} is a number that is not negative, not {written!r}")
    return found


def params(within: Block, key: str) -> Any:
    """The parameters of a detector, with their types. Raises Wrong."""
    return reading.typed(fields.block(within[key], within.lines[key], key))


def stored(rule: Rule) -> dict[str, Any]:
    """The fields of a row, however it was written, as `Further.values` has them."""
    return {
        "conditions": [_as_stored(one) for one in rule.conditions],
        "need": rule.need,
        "traffic_query": rule.traffic_query.strip(),
        "minimum_traffic": rule.minimum_traffic,
    }


def as_own(values: Mapping[str, Any]) -> dict[str, Any]:
    """What stands under `homeostat:` for these fields; nothing for what is not used."""
    found: dict[str, Any] = {}
    if values["conditions"]:
        found["conditions"] = values["conditions"]
    if values["need"] != NOTHING.need:
        found["need"] = int(values["need"]) if values["need"].isdecimal() else values["need"]
    if values["traffic_query"]:
        found["traffic"] = values["traffic_query"]
    if values["minimum_traffic"]:
        found["minimum_traffic"] = values["minimum_traffic"]
    return found


def flat(conditions: list[dict[str, Any]]) -> dict[str, Any]:
    """By the number of the condition and the name of what it says."""
    found: dict[str, Any] = {}
    for at, one in enumerate(conditions, start=2):
        for name, value in one.items():
            inside = {f"{name}.{key}": item for key, item in value.items()} if name == "params" else {name: value}
            found |= {f"condition {at}.{key}": item for key, item in inside.items()}
    return found


def _condition(found: Any, line: int, own: Mapping[str, Any], *, split: bool) -> Condition:
    block = fields.block(found, line, "a condition")
    fields.known_keys(block, _CONDITION_KEYS, "in a condition")
    key = "query" if "query" in block else "expr"
    query = fields.text(block, key).strip()
    if not query or {"query", "expr"} <= block.keys():
        raise fields.Wrong(block.line, "a condition needs one query")
    asked = {
        "detector": fields.text(block, "detector"),
        "params": params(block, "params") if "params" in block else None,
        "missing": own.get("missing", "ok"),
    }
    return Condition(
        name=fields.text(block, "name").strip(),
        meaning=meaning_of(query, block.line, asked, split=split),
        line=getattr(block[key], "body", block.line),
    )


def _as_stored(found: Mapping[str, Any]) -> dict[str, Any]:
    name = str(found.get("name", "")).strip()
    own = {"query": str(found.get("query", "")).strip(), "detector": found.get("detector", "")}
    return ({"name": name} if name else {}) | own | {"params": found.get("params") or {}}
