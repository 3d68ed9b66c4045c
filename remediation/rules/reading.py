"""YAML that came from outside, as texts that know their lines.

Nothing is constructed: a tag such as `!!python/object` is refused before anything is built, and size, depth and what
aliases would expand to are bounded. Every scalar is a text, as Prometheus reads labels: `port: 8080` means "8080".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from remediation.exceptions import ConfigurationError

MAX_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 30
MAX_NODES = 200_000
"""Values in one file, with every alias counted as what it stands for."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PLAIN_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq")}
_NOTHING = {"", "~", "null", "Null", "NULL"}


@dataclass(frozen=True, kw_only=True, order=True)
class Problem:
    """What is wrong, and where; line 0 stands for the whole file."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}" if self.line else f"{self.file}: {self.text}"


class Unreadable(ConfigurationError):
    """Files that cannot be used, with everything that is wrong with them."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = sorted(problems)
        super().__init__("\n".join(map(str, self.problems)))


class Text(str):
    """A scalar. `plain`: written without quotes, so that it may stand for a number; `body`: its first line in the
    file, which for a block (`|`, `>`) is the one below."""

    __slots__ = ("body", "line", "plain")
    line: int
    body: int
    plain: bool


class Items(list[Any]):
    line: int


class Block(dict[str, Any]):
    """A mapping. `lines` says where each key stands."""

    line: int
    lines: dict[str, int]


def read(text: str, *, file: str) -> list[Any]:
    """The documents of a text: Block, Items or Text each. Raises Unreadable."""
    if len(text.encode(errors="replace")) > MAX_BYTES:
        raise Unreadable([Problem(file=file, line=0, text=f"larger than {MAX_BYTES // 1024**2} MB; divide it")])
    try:
        _survey(text, file)
        nodes = list(yaml.compose_all(text, Loader=_LOADER))
    except yaml.YAMLError as error:
        raise Unreadable([_no_yaml(error, file)]) from None
    except RecursionError:
        raise Unreadable([Problem(file=file, line=0, text="nested too deeply")]) from None
    builder = _Builder(file)
    return [builder.build(node) for node in nodes if node is not None]


def typed(value: Any) -> Any:
    """The same with numbers, truth values and nothing where YAML means them, for parameters that have types."""
    if isinstance(value, Block):
        return {str(key): typed(item) for key, item in value.items()}
    if isinstance(value, Items):
        return [typed(item) for item in value]
    return yaml.safe_load(value) if value.plain else str(value)


def is_nothing(value: Any) -> bool:
    """A key without a value, as in `labels:`."""
    return isinstance(value, Text) and value.plain and value in _NOTHING


def _survey(text: str, file: str) -> None:
    """Look at the stream before anything is built of it."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=_LOADER)):
        line = event.start_mark.line + 1 if event.start_mark else 0
        tag = getattr(event, "tag", None)
        if tag and tag != "!" and tag not in _PLAIN_TAGS:
            shown = tag.replace("tag:yaml.org,2002:", "!!")
            raise Unreadable([Problem(file=file, line=line, text=f"the tag {shown} is refused: write plain YAML")])
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise Unreadable([Problem(file=file, line=line, text=f"nested deeper than {MAX_DEPTH} levels")])
        if count > 2 * MAX_NODES:
            raise Unreadable([Problem(file=file, line=line, text=f"more than {MAX_NODES} values; divide it")])


def _no_yaml(error: yaml.YAMLError, file: str) -> Problem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    why = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error).partition("\n")[0]
    return Problem(file=file, line=mark.line + 1 if mark else 0, text=f"this is no YAML: {why}")


class _Builder:
    """Turns nodes into values; one node that has several aliases becomes one value."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.built: dict[int, tuple[Any, int]] = {}
        self.open: set[int] = set()

    def build(self, node: Any) -> Any:
        return self._sized(node)[0]

    def _sized(self, node: Any) -> tuple[Any, int]:
        """The value of a node, and how many values it holds when all aliases are written out."""
        key = id(node)
        if key in self.open:
            raise self._wrong(node, "an alias refers to what it is part of")
        if key not in self.built:
            self.open.add(key)
            self.built[key] = self._made(node)
            self.open.discard(key)
            if self.built[key][1] > MAX_NODES:
                raise self._wrong(node, f"it holds more than {MAX_NODES} values, with those its aliases stand for")
        return self.built[key]

    def _made(self, node: Any) -> tuple[Any, int]:
        line = node.start_mark.line + 1
        if isinstance(node, yaml.ScalarNode):
            return _text(node, line), 1
        if isinstance(node, yaml.SequenceNode):
            parts = [self._sized(item) for item in node.value]
            items = Items(value for value, _ in parts)
            items.line = line
            return items, 1 + sum(size for _, size in parts)
        return self._block(node, line)

    def _block(self, node: Any, line: int) -> tuple[Block, int]:
        block = Block()
        block.line, block.lines = line, {}
        total, merged = 1, list[Block]()
        for key_node, value_node in node.value:
            key, _ = self._sized(key_node)
            value, size = self._sized(value_node)
            total += 1 + size
            if not isinstance(key, Text):
                raise self._wrong(key_node, "a key must be a text")
            if key == "<<" and key.plain:
                merged += self._to_merge(value, key_node)
                continue
            if key in block:
                raise self._wrong(key_node, f"{key!s} is there twice")
            block[str(key)] = value
            block.lines[str(key)] = key.line
        for other in merged:
            for name in other.keys() - block.keys():
                block[name], block.lines[name] = other[name], other.lines[name]
        return block, total

    def _to_merge(self, value: Any, node: Any) -> Iterator[Block]:
        for other in value if isinstance(value, Items) else [value]:
            if not isinstance(other, Block):
                raise self._wrong(node, "<< takes a mapping, or a list of them")
            yield other

    def _wrong(self, node: Any, text: str) -> Unreadable:
        return Unreadable([Problem(file=self.file, line=node.start_mark.line + 1, text=text)])


def _text(node: Any, line: int) -> Text:
    text = Text(node.value)
    text.line, text.plain = line, not node.style
    text.body = line + 1 if node.style in ("|", ">") else line
    return text
