"""`manage.py detect`: one series from standard input, judged row after row."""

from __future__ import annotations

import contextlib
import io
import json
import signal
import subprocess
import sys
from typing import Any

import pytest
from django.core.management import CommandError, call_command

ABOVE_5 = {"op": ">", "value": 5}


@pytest.fixture
def detect(monkeypatch: pytest.MonkeyPatch) -> Any:
    def run(given: str, *, detector: str = "threshold", params: Any = None, **options: Any) -> tuple[list[str], str]:
        out, err = io.StringIO(), io.StringIO()
        monkeypatch.setattr("sys.stdin", io.StringIO(given))
        text = params if isinstance(params, str) else json.dumps(ABOVE_5 if params is None else params)
        call_command("detect", detector=detector, params=text, stdout=out, stderr=err, **options)
        return out.getvalue().splitlines(), err.getvalue()

    return run


def test_detect_writes_one_row_per_row(detect: Any) -> None:
    rows, told = detect("timestamp,value\n100,4\n160,6\n220,\n280,NaN\n")
    assert rows == [
        "timestamp,verdict,score,lower,upper",
        "100,ok,0.8,-inf,5.0",
        "160,bad,1.2,-inf,5.0",
        "220,unknown,,-inf,5.0",
        "280,unknown,,-inf,5.0",
    ]
    assert told == ""


def test_detect_reads_columns_by_name_and_keeps_timestamps_as_written(detect: Any) -> None:
    rows, _ = detect("\ufeffValue, Timestamp\r\n6,2026-01-01T00:00:00Z\r\n\r\n4,1767225660.50\r\n")
    assert [row.split(",")[:2] for row in rows[1:]] == [["2026-01-01T00:00:00Z", "bad"], ["1767225660.50", "ok"]]


def test_detect_does_not_judge_what_is_not_later(detect: Any) -> None:
    rows, told = detect("timestamp,value\n100,6\n100,6\n90,6\n160,6\n")
    assert [row.split(",")[1] for row in rows[1:]] == ["bad", "unknown", "unknown", "bad"]
    assert told == "2 rows were not later than a row before them: unknown, and not learnt\n"


def test_detect_can_say_why(detect: Any) -> None:
    rows, _ = detect("timestamp,value\n100,6\n", reasons=True)
    assert rows[1] == "100,bad,1.2,-inf,5.0,6 is above 5"


def test_detect_of_an_empty_series_is_a_header(detect: Any) -> None:
    assert detect("timestamp,value\n")[0] == ["timestamp,verdict,score,lower,upper"]


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        ("", {}, "the first line must name the columns: timestamp,value"),
        ("100,6\n", {}, "the first line must name the columns: timestamp,value"),
        ("timestamp,value\nyesterday,6\n", {}, "line 2: 'yesterday' is neither seconds since the epoch nor"),
        ("timestamp,value\n100,six\n", {}, "line 2: 'six' is not a number"),
        ("timestamp,value\n", {"detector": "oracle"}, "there is no detector named 'oracle'; installed: "),
        ("timestamp,value\n", {"detector": "firing_alert", "params": {}}, "firing_alert judges alerts, not samples"),
        ("timestamp,value\n", {"params": "{"}, "--params is not JSON: "),
        ("timestamp,value\n", {"params": "[]"}, "--params must be a JSON object"),
        ("timestamp,value\n", {"params": {"op": ">"}}, "Threshold: value: Field required"),
    ],
)
def test_detect_refuses_in_plain_words(detect: Any, given: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(CommandError) as caught:
        detect(given, **options)
    assert str(caught.value).startswith(message)
    assert caught.value.returncode == 2


def test_detect_ends_quietly_when_nobody_reads_on() -> None:
    command = [sys.executable, "manage.py", "detect", "--detector", "flatline"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        process.stdout.close()
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(b"timestamp,value\n" + b"".join(b"%d,1\n" % at for at in range(20_000)))
            process.stdin.close()
        assert process.stderr.read() == b""
        assert process.wait() == 128 + signal.SIGPIPE
