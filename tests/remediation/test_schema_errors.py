"""What a schema refuses is said in pydantic's own words, and in the reader's language."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from django.utils.translation import override
from pydantic import Field, ValidationError, field_validator

from remediation.registry import Params
from remediation.schema_errors import WORDS, in_words


class Everything(Params):
    text: str = Field(default="", pattern="^[a-z]*$")
    whole: int = 0
    number: float = Field(default=1.0, gt=0, le=10.5)
    share: float = Field(default=0.5, ge=0, lt=1)
    flag: bool = False
    some: list[int] = []
    pairs: dict[str, int] = {}
    chosen: Literal["low", "high"] = "low"

    @field_validator("whole")
    @classmethod
    def _even(cls, value: int) -> int:
        if value % 2:
            raise ValueError("the maximum is below the minimum")
        return value


class Needed(Params):
    op: str


WRONG: list[dict[str, Any]] = [
    *({"text": 5}, {"text": "A"}, {"whole": None}, {"whole": "x"}, {"whole": 1.5}),
    *({"number": None}, {"number": "x"}, {"number": 0}, {"number": 11}, {"number": float("inf")}),
    *(
        {"share": -1},
        {"share": 1},
        {"flag": []},
        {"flag": "x"},
        {"some": 1},
        {"pairs": 1},
        {"chosen": "x"},
        {"more": 1},
    ),
]


def refused(schema: type[Params], values: dict[str, Any]) -> Any:
    with pytest.raises(ValidationError) as caught:
        schema.model_validate(values)
    return caught.value.errors()[0]


def test_english_is_what_pydantic_says() -> None:
    found = [refused(Everything, values) for values in WRONG] + [refused(Needed, {})]
    assert [in_words(item) for item in found] == [item["msg"] for item in found]
    assert {item["type"] for item in found} == set(WORDS)


def test_the_reader_is_told_in_their_language() -> None:
    with override("zh-hans"):
        assert in_words(refused(Everything, {"number": 11})) == "须小于或等于 10.5"
        assert in_words(refused(Everything, {"whole": 3})) == "最大值小于最小值"


def test_what_is_not_listed_is_said_in_english() -> None:
    assert in_words({"type": "date_future", "msg": "Date should be in the future"}) == "Date should be in the future"
