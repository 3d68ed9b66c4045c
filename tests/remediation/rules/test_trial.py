"""Unit tests of rules: the same file must come out the same here and in promtool, on a real Prometheus."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from deploy import tools
from remediation.exceptions import ConfigurationError
from remediation.rules import cases, store, trial
from remediation.rules.reading import Unreadable

RULES = """
groups:
  - name: g
    rules:
      - record: job:errors:rate5m
        expr: sum by (job) (rate(errors_total[5m]))
      - alert: Down
        expr: up == 0
        for: 2m
        labels: {severity: page, where: "{{ $labels.job }}"}
        annotations: {summary: "{{ $labels.instance }} is down, {{ $value | humanize }}"}
      - alert: Errors
        expr: job:errors:rate5m > 0.5
      - alert: Gone
        expr: absent(up{job="a"})
      - alert: Both
        expr: up == 0 and mem > 5
        keep_firing_for: 3m
"""
TESTS = """
rule_files: [rules.yml]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {series: 'up{job="a", instance="i"}', values: "1 1 0x5 1x3 stale"}
      - {series: 'mem{job="a", instance="i"}', values: 9x20}
      - {series: 'errors_total{job="a"}', values: 0+60x20}
    alert_rule_test:
      - {eval_time: 3m, alertname: Down}
      - eval_time: 4m30s
        alertname: Down
        exp_alerts:
          - exp_labels: {severity: page, job: a, instance: i, where: a}
            exp_annotations: {summary: "i is down, 0"}
      - {eval_time: 8m, alertname: Down}
      - {eval_time: 5m, alertname: Errors, exp_alerts: [{exp_labels: {job: a}}]}
      - {eval_time: 10m, alertname: Both, exp_alerts: [{exp_labels: {job: a, instance: i}}]}
      - {eval_time: 11m, alertname: Both}
      - {eval_time: 11m, alertname: Gone}
      - {eval_time: 12m, alertname: Gone, exp_alerts: [{exp_labels: {job: a}}]}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "rules.yml").write_text(RULES)
    (tmp_path / "tests.yml").write_text(TESTS)
    return tmp_path


@pytest.fixture
def prometheus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(store.VARIABLE, str(tools.find("prometheus")))


def promtool_agrees(path: Path) -> bool:
    done = subprocess.run([tools.find("promtool"), "test", "rules", path], capture_output=True, check=False)
    return done.returncode == 0


@pytest.mark.real
@pytest.mark.usefixtures("prometheus")
def test_promtool_and_we_agree_on_what_fires(folder: Path) -> None:
    assert trial.run(cases.read(folder / "tests.yml")) == []
    assert promtool_agrees(folder / "tests.yml")


@pytest.mark.real
@pytest.mark.usefixtures("prometheus")
def test_promtool_and_we_agree_on_what_does_not(folder: Path) -> None:
    (folder / "tests.yml").write_text(
        TESTS.replace("{eval_time: 3m, alertname: Down}", "{eval_time: 5m, alertname: Down}")
    )
    (found,) = trial.run(cases.read(folder / "tests.yml"))
    head, *rest = found.splitlines()
    assert head == f"{folder / 'tests.yml'}:11: alertname: Down, time: 5m"
    assert rest[0] == "    exp: []" and 'Annotations:{summary="i is down, 0"}' in rest[2]
    assert not promtool_agrees(folder / "tests.yml")


@pytest.mark.real
@pytest.mark.usefixtures("prometheus")
def test_our_own_detectors_judge(folder: Path) -> None:
    (folder / "rules.yml").write_text("""
groups:
  - name: g
    rules:
      - alert: Odd
        expr: latency
        homeostat: {detector: zscore, params: {window_s: 1200, step_s: 60, minimum_points: 10, direction: high}}
      - alert: Unasked
        expr: "latency{"
""")
    (folder / "tests.yml").write_text("""
rule_files: [rules.yml]
tests:
  - interval: 1m
    input_series: [{series: latency, values: "1 2 1 2 1 2 1 2 1 2 1 2 1 2 1 2 50 2 1"}]
    alert_rule_test:
      - {eval_time: 15m, alertname: Odd}
      - {eval_time: 16m, alertname: Odd, exp_alerts: [{}]}
      - {eval_time: 18m, alertname: Odd}
      - {eval_time: 1m, alertname: Unasked}
      - {eval_time: 1m, alertname: Nobody, exp_alerts: [{}]}
""")
    unasked, nobody = trial.run(cases.read(folder / "tests.yml"))
    assert "alertname: Unasked" in unasked and "parse error" in unasked
    assert "there is no rule for the alert Nobody" in nobody


def test_without_a_prometheus_that_is_said_plainly(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv(store.VARIABLE, raising=False)
    with pytest.raises(ConfigurationError, match=r"need the program prometheus .* it is not on the PATH"):
        trial.run(cases.read(folder / "tests.yml"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tests: []", "1: no file is named under rule_files, or none of them exists"),
        ("rule_files: [nope.yml]", "nope.yml: cannot be read: No such file or directory"),
        ("rule_files: [rules.yml]\nnope: 1", "2: nope is unknown in a file of tests"),
        ("rule_files: [rules.yml]\ntests:\n- input_series: [{series: up, values: x}]", "3: 'x' is no value"),
        ("rule_files: [rules.yml]\ntests:\n- alert_rule_test: [{eval_time: 1m}]", "3: say under alertname which alert"),
        ("rule_files: [rules.yml]\ntests:\n- alert_rule_test: [{eval_time: x}]", "3: say under alertname"),
        ("", "1: a file of tests must be a mapping"),
    ],
)
def test_a_wrong_file_of_tests(folder: Path, text: str, said: str) -> None:
    (folder / "tests.yml").write_text(text)
    with pytest.raises(Unreadable) as caught:
        cases.read(folder / "tests.yml")
    assert said in str(caught.value)
