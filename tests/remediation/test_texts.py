"""Texts in which labels and values are looked up: Prometheus' own examples, and texts that want to be more."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediation.texts import fill, left_literal

LABELS = {"instance": "a:9100", "size": "2048", "evil": "{{ $value }} {instance}"}


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("{{ $value | humanize }}", 1_234_567.0, "1.235M"),
        ("{{ humanize $value }}", 0.02, "20m"),
        ("{{$value|humanize}}", 0.0, "0"),
        ("{{ $value | humanize1024 }}B", 3 * 2**30, "3GiB"),
        ("{{ $value | humanizePercentage }}", 0.1234, "12.34%"),
        ("{{ $value | humanizeDuration }}", 90061.0, "1d 1h 1m 1s"),
        ("{{ $value | humanizeDuration }}", 5400.0, "1h 30m 0s"),
        ("{{ $value | humanizeDuration }}", 0.02, "20ms"),
        ("{{ $value | humanizeTimestamp }}", 60.0, "1970-01-01 00:01:00 +0000 UTC"),
        ('{{ printf "%.2f" $value }}%', 3.14159, "3.14%"),
        ('{{ $value | printf "%.0f%%" }}', 3.7, "4%"),
        ('{{ printf "%s at %.1f" $labels.instance $value }}', 2.0, "a:9100 at 2.0"),
        ("{{ humanize1024 $labels.size }}", 0.0, "2ki"),
        ("{{- .Labels.instance | toUpper -}}", 0.0, "A:9100"),
        ("{{ $value }} of {instance}", 0.25, "0.25 of a:9100"),
        ("{{ $labels }}", 0.0, "map[evil:{{ $value }} {instance} instance:a:9100 size:2048]"),
    ],
)
def test_fill(text: str, value: float, expected: str) -> None:
    assert fill(text, LABELS, value) == expected
    assert left_literal(text) == []


@pytest.mark.parametrize(
    "text",
    [
        '{{ query "up" }}',
        "{{ range $i := .Nodes }}",
        "{{ end }}",
        "{{ if gt $value 5.0 }}",
        '{{ printf "%99999f" $value }}',
        '{{ printf "%s" }}',
        "{{ $externalLabels.cluster }}",
        "{{ $labels.instance.__class__ }}",
        "{{7*7}}",
        "{{ }}",
        "{{ | }}",
    ],
)
def test_what_is_no_look_up_stays_as_it_is_written(text: str) -> None:
    assert fill(text, LABELS, 1.0) == text
    assert left_literal(text) == [text]


def test_what_is_put_in_is_not_looked_at_again() -> None:
    assert fill("{{ $labels.evil }}", LABELS, 1.0) == "{{ $value }} {instance}"
    assert fill('{{ printf "%s" $labels.evil }}', LABELS, 1.0) == "{{ $value }} {instance}"


@given(inside=st.text("$value|labels.instance \"%humanizeprintf`'()0", max_size=40), value=st.floats())
def test_no_text_raises(inside: str, value: float) -> None:
    fill(f"{{{{ {inside} }}}}", LABELS, value)
