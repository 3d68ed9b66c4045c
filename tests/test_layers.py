"""Dependencies run one way. Reads the imports of every file; a new one that points backwards fails here."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
STAGES = ("observe", "detect", "decide", "act", "verify")

BASE = {"states", "signals", "conf", "exceptions", "registry"} | {
    *("series", "matchers", "failpoints", "secrets", "doorbell", "texts", "chances", "canonical"),
    *("redact", "draining", "elapsed", "schema_errors"),
}
"""Know nothing of models (doorbell: of nothing but Celery and the transaction)."""
LOOP = {
    "standings",
    "judging",
    "evaluation",
    "combination",
    "condition",
    "episodes",
    "opening",
    "gaps",
    "turn",
    "deciding",
    "analytics",
    "breakers",
    "storms",
    "repair",
    "trust",
    "shadow",
    "masking",
    "history",
    "sealing",
    "loop",
    "rules",
    "backtest",
}
TOP = {"tasks", "schedule", "admin", "checks", "management", "apps", "celery"}

LEVELS: dict[str, int] = (
    dict.fromkeys(BASE, 0)
    | {"contracts": 1, "models": 2}
    | dict.fromkeys(STAGES, 3)
    | {"targets": 3}
    | dict.fromkeys(LOOP, 4)
    | dict.fromkeys(TOP, 5)
)
CONTRACTS = {"targets.base", "act.base", "detect.base", "observe.base"}
"""Dataclasses and abstract classes that other stages may name."""


def imports_of(path: Path) -> set[str]:
    """Dotted names of everything a file imports, those under TYPE_CHECKING left out."""
    tree = ast.parse(path.read_text())
    found: set[str] = set()
    hidden: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            hidden |= set(ast.walk(node))
    for node in ast.walk(tree):
        if node in hidden:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return found


def place(dotted: str) -> str:
    """The name a module has in LEVELS, from what follows `remediation.`."""
    if any(dotted == contract or dotted.startswith(f"{contract}.") for contract in CONTRACTS):
        return "contracts"
    return dotted.partition(".")[0]


def files() -> list[Path]:
    return [path for path in sorted((ROOT / "remediation").rglob("*.py")) if "migrations" not in path.parts]


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path: Path) -> None:
    own = ".".join(path.relative_to(ROOT / "remediation").with_suffix("").parts).removesuffix(".__init__")
    if own == "__init__":
        return
    mine = place(own)
    wrong: list[str] = []
    for name in imports_of(path):
        root, _, rest = name.partition(".")
        if root in ("dashboard", "channels", "deploy"):
            wrong.append(f"{name}: the loop knows nothing of its face")
        if root != "remediation" or not rest:
            continue
        other = place(rest)
        assert other in LEVELS, f"{path}: {name} has no level; add it to LEVELS"
        if LEVELS[other] > LEVELS[mine]:
            wrong.append(f"{name} is above {own}")
        if other in STAGES and mine in STAGES and other != mine:
            wrong.append(f"{name}: stages do not import each other")
    assert wrong == []


def test_detect_is_pure() -> None:
    for path in (ROOT / "remediation" / "detect").glob("*.py"):
        roots = {name.split(".")[0] for name in imports_of(path)}
        assert roots.isdisjoint({"django", "requests", "prometheus_api_client", "redis", "celery"}), path
        assert not any(name.startswith("remediation.models") for name in imports_of(path)), path


def test_heavy_clients_load_on_use() -> None:
    for path in files():
        tops = {name.split(".")[0] for name in imports_of(path)}
        assert tops.isdisjoint({"docker", "kubernetes", "ansible_runner"}), path


def test_only_transition_changes_state() -> None:
    """`state=` is written by compare-and-set in one place."""
    for path in files():
        if path.name == "transition.py" or "management" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "update":
                assert "state" not in {keyword.arg for keyword in node.keywords}, f"{path}:{node.lineno}"
