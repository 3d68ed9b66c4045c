"""The ready rules that come with Homeostat: files in `library/`, one per exporter or kind of service."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from remediation.exceptions import ConfigurationError
from remediation.rules import declared
from remediation.rules.declared import Declared

FOLDER = Path(__file__).parent / "library"


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """One file of the library. `title`: its first line, which says what has to be scraped for it."""

    name: str
    title: str
    text: str

    @property
    def owner(self) -> str:
        return f"library:{self.name}"

    @property
    def file(self) -> str:
        return f"library/{self.name}.yaml"

    def rules(self) -> list[Declared]:
        return declared.read([(self.file, self.text)]).rules


def shelves() -> Iterator[Shelf]:
    """By name."""
    for path in sorted(FOLDER.glob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        yield Shelf(name=path.stem, title=text.partition("\n")[0].lstrip("# "), text=text)


def find(name: str) -> Shelf:
    """Raises ConfigurationError that names those there are."""
    found = {shelf.name: shelf for shelf in shelves()}
    if name not in found:
        raise ConfigurationError(f"The library has no {name!r}; it has {', '.join(found)}.")
    return found[name]
