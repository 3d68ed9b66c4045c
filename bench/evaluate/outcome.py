"""What the parts found, handed on to the run that started them: aims with their ratios, and what did not work."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Aim:
    """One bound of the project and what was measured, both in `unit`; met at or below the bound."""

    what: str
    bound: float
    found: float
    unit: str
    note: str = ""

    def __str__(self) -> str:
        verdict = "reached" if self.found <= self.bound else "NOT reached"
        note = f"; {self.note}" if self.note else ""
        ratio = self.found / self.bound
        return f"{verdict}: {self.what}: {self.found:.3g} {self.unit} of {self.bound:g} ({ratio:.2f} of it){note}"


@dataclass
class Outcome:
    aims: list[Aim] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    """What did not work. A benchmark of something that gives other answers measures nothing."""

    def aim(self, what: str, *, bound: float, found: float, unit: str, note: str = "") -> None:
        self.aims.append(Aim(what=what, bound=bound, found=found, unit=unit, note=note))

    def compare(self, what: str, ours: set[tuple[str, str]], theirs: set[tuple[str, str]]) -> None:
        """Note where two sets of bad (rule, series) differ."""
        if ours == theirs:
            return
        only = [f"{len(ours - theirs)} only here", f"{len(theirs - ours)} only there"]
        some = ", ".join("/".join(one) for one in sorted(ours ^ theirs)[:5])
        self.wrong.append(f"{what} differ: {len(ours)} and {len(theirs)}, {' and '.join(only)}: {some}")

    def append_to(self, path: Path) -> None:
        with path.open("a") as file:
            file.write(json.dumps({"aims": [asdict(aim) for aim in self.aims], "wrong": self.wrong}) + "\n")

    @classmethod
    def read(cls, path: Path) -> Outcome:
        found = cls()
        for line in path.read_text().splitlines():
            one = json.loads(line)
            found.aims += [Aim(**aim) for aim in one["aims"]]
            found.wrong += one["wrong"]
        return found
