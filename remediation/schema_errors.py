"""What is wrong with the parameters of a plug-in, in the reader's language. English is pydantic's own wording."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext, gettext_noop

WORDS = {
    "missing": gettext_noop("Field required"),
    "extra_forbidden": gettext_noop("Extra inputs are not permitted"),
    "string_type": gettext_noop("Input should be a valid string"),
    "int_type": gettext_noop("Input should be a valid integer"),
    "int_parsing": gettext_noop("Input should be a valid integer, unable to parse string as an integer"),
    "int_from_float": gettext_noop("Input should be a valid integer, got a number with a fractional part"),
    "float_type": gettext_noop("Input should be a valid number"),
    "float_parsing": gettext_noop("Input should be a valid number, unable to parse string as a number"),
    "bool_type": gettext_noop("Input should be a valid boolean"),
    "bool_parsing": gettext_noop("Input should be a valid boolean, unable to interpret input"),
    "list_type": gettext_noop("Input should be a valid list"),
    "dict_type": gettext_noop("Input should be a valid dictionary"),
    "finite_number": gettext_noop("Input should be a finite number"),
    "greater_than": gettext_noop("Input should be greater than {gt}"),
    "greater_than_equal": gettext_noop("Input should be greater than or equal to {ge}"),
    "less_than": gettext_noop("Input should be less than {lt}"),
    "less_than_equal": gettext_noop("Input should be less than or equal to {le}"),
    "literal_error": gettext_noop("Input should be {expected}"),
    "string_pattern_mismatch": gettext_noop("String should match pattern '{pattern}'"),
}
"""By pydantic's name of the error; the places are named as in its context. What is not listed is said in English."""


def in_words(item: Mapping[str, Any]) -> str:
    """One of `ValidationError.errors()`, without where it is. A validator's own words are looked up as they are."""
    if item["type"] == "value_error":
        return gettext(str(item["ctx"]["error"]))
    if item["type"] not in WORDS:
        return str(item["msg"])
    return gettext(WORDS[item["type"]]).format(**{name: _plain(value) for name, value in item.get("ctx", {}).items()})


def _plain(value: Any) -> Any:
    """As pydantic writes a limit: 5, not 5.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
