"""One text for one JSON value, whichever database it came back from.

PostgreSQL keeps numbers as decimals (1e+22 comes back as a whole number, -0.0 as 0.0) and sorts keys; SQLite keeps the
text. What is signed or sealed is hashed in this form, so that both say the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any


def canonical(value: Any) -> str:
    """Compact JSON with sorted keys, numbers written out in full. Raises TypeError for what JSON has no form of."""
    if value is None or isinstance(value, bool | str):
        return json.dumps(value)
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, Mapping):
        pairs = sorted((json.dumps(str(key)), canonical(item)) for key, item in value.items())
        return "{" + ",".join(f"{key}:{item}" for key, item in pairs) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(canonical, value)) + "]"
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def _number(value: float) -> str:
    """The shortest digits that name this float, without an exponent: 22.0 is 22, 1e-07 is 0.0000001."""
    if value == 0:
        return "0"
    return format(Decimal(float.__repr__(value)).normalize(), "f")
