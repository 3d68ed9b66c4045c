"""Hand-written series, in promtool's notation."""

from __future__ import annotations

import math

import pytest

from remediation.exceptions import ConfigurationError
from remediation.rules.notation import Mark, labels_of, samples_of

GAP, STALE = Mark.MISSING, Mark.STALE


@pytest.mark.parametrize(
    ("text", "samples"),
    [
        ("1 2.5 -3 1e3", [1, 2.5, -3, 1000]),
        ("0+10x3", [0, 10, 20, 30]),
        ("5-2x2 _ stale", [5, 3, 1, GAP, STALE]),
        ("-1-1x1", [-1, -2]),
        ("7x2", [7, 7, 7]),
        ("_x3", [GAP] * 3),
        ("Inf -Inf", [math.inf, -math.inf]),
        ("0.5+0.25x0", [0.5]),
        ("", []),
    ],
)
def test_samples(text: str, samples: list[object]) -> None:
    assert list(samples_of(text)) == samples


def test_nan_is_a_sample() -> None:
    (found,) = samples_of("NaN")
    assert isinstance(found, float) and math.isnan(found)


@pytest.mark.parametrize("text", ["x", "1+x3", "1x", "{{schema:1}}", "1x999999999", "1,2", "--1"])
def test_what_is_no_value(text: str) -> None:
    with pytest.raises(ConfigurationError):
        samples_of(text)


def test_labels() -> None:
    assert labels_of('up{job="a", instance="b:1"}') == {"__name__": "up", "job": "a", "instance": "b:1"}
    assert labels_of("up") == {"__name__": "up"}
    assert labels_of('{job="a"}') == {"job": "a"}


@pytest.mark.parametrize("text", ["", "up{", "5up", 'up{job=~"a"}', "up == 0"])
def test_what_is_no_series(text: str) -> None:
    with pytest.raises(ConfigurationError):
        labels_of(text)
