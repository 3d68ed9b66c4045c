"""Rule files: Prometheus' own, ours, and wrong ones with the line at which they are."""

from __future__ import annotations

import pytest

from remediation.rules.declared import Declared, Read, read, severity_of
from remediation.rules.reading import Unreadable

PLAIN = """
groups:
  - name: node
    interval: 30s
    limit: 10
    rules:
      - record: instance:load
        expr: sum by (instance) (node_load1)
      - alert: NodeDown
        expr: up{job="node"} == 0
        for: 5m
        keep_firing_for: 2m
        labels: {severity: page, team: infra, port: 8080}
        annotations:
          summary: "{{ $labels.instance }} is down"
          description: '{{ range query "up" }}{{ end }}'
      - alert: NodeOdd
        expr: |
          node_load1 > 5
            and
          node_load5 > 4
"""


def one(rule: str, *, split: bool = True) -> Declared:
    text = "groups: [{name: g, rules: [" + rule + "]}]"
    (found,) = read([("a.yml", text)], split=split).rules
    return found


def refused(text: str) -> list[str]:
    with pytest.raises(Unreadable) as caught:
        read([("a.yml", text)])
    return [str(problem) for problem in caught.value.problems]


def notes(found: Read) -> list[str]:
    return [str(note) for note in found.notes]


def test_a_file_of_prometheus_is_read_unchanged() -> None:
    found = read([("node.yml", PLAIN)])
    down, odd = found.rules
    assert (down.name, down.meaning.query, down.meaning.detector) == ("NodeDown", 'up{job="node"}', "expression")
    assert (down.interval_s, down.for_s, down.keep_firing_for_s) == (30, 300, 120)
    assert (down.severity, down.labels) == ("critical", {"severity": "page", "team": "infra", "port": "8080"})
    assert (odd.meaning.detector, odd.severity, odd.query_line) == ("expression", "warning", 19)
    assert [item.name for item in found.recordings] == ["instance:load"]
    assert notes(found) == [
        "node.yml:5: limit is ignored: nothing here corresponds to it",
        "node.yml:7: recording rule instance:load skipped: Prometheus has to keep recording it",
        "node.yml:9: NodeDown: severity 'page' counts as critical",
        'node.yml:9: NodeDown: {{ range query "up" }} in description stays as it is written',
        "node.yml:9: NodeDown: {{ end }} in description stays as it is written",
    ]


def test_our_own_keys_and_what_they_are_inherited_from() -> None:
    text = """
homeostat: {source: main, interval: 10s}
groups:
  - name: web
    homeostat: {service: cart}
    labels: {team: shop}
    rules:
      - alert: Slow
        expr: latency
        homeostat: {detector: zscore, params: {limit: 8, direction: high}, interval: 5s, enabled: false}
      - alert: Broken
        expr: errors > 3
        homeostat: {name: Broken cart, severity: info}
        labels: {severity: page}
"""
    slow, broken = read([("a.yml", text)]).rules
    assert (slow.source, slow.service, slow.interval_s, slow.enabled) == ("main", "cart", 5, False)
    assert slow.meaning.params == {"limit": 8, "direction": "high"} and slow.labels == {"team": "shop"}
    assert (broken.name, broken.alert, broken.interval_s, broken.severity) == ("Broken cart", "Broken", 10, "info")
    assert broken.labels == {"team": "shop", "severity": "page", "alertname": "Broken"}


def test_the_detector_decides_whether_an_expression_is_taken_apart() -> None:
    assert one("{alert: A, expr: a > 5}").meaning.params == {"op": ">", "value": 5}
    assert one("{alert: A, expr: a > 5}", split=False).meaning.query == "a > 5"
    assert one("{alert: A, expr: a > 5, homeostat: {missing: unknown}}").meaning.detector == "threshold"
    assert one("{alert: A, expr: a > 5, homeostat: {detector: expression}}").meaning.query == "a > 5"
    named = "{alert: A, expr: a > 5, homeostat: {detector: threshold}}"
    assert one(named, split=False).meaning.query == "a"
    given = "{alert: A, expr: a, homeostat: {detector: threshold, params: {op: '<', value: 2}}}"
    assert one(given).meaning.params == {"op": "<", "value": 2}


def test_alerts_of_one_name_are_told_apart() -> None:
    text = """
groups:
  - name: g
    rules:
      - {alert: Full, expr: a > 1, labels: {severity: page}}
      - {alert: Full, expr: a > 2, labels: {severity: ticket}}
      - {alert: Same, expr: a > 1}
      - {alert: Same, expr: a > 2}
      - {alert: Once, expr: a > 1}
"""
    found = read([("a.yml", text)]).rules
    assert [rule.name for rule in found] == ["Full (page)", "Full (ticket)", "Same (1)", "Same (2)", "Once"]
    assert [rule.labels.get("alertname") for rule in found] == ["Full", "Full", "Same", "Same", None]


def test_the_object_of_kubernetes_around_the_groups() -> None:
    head = "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata: {name: x}\nspec:\n"
    body = "".join(f"  {line}\n" for line in PLAIN.strip().splitlines())
    assert [rule.name for rule in read([("a.yml", head + body)]).rules] == ["NodeDown", "NodeOdd"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1", "a.yml:1: a is unknown at the top of a rule file; known: groups, homeostat, namespace"),
        ("namespace: x", "a.yml:1: there are no groups; a rule file begins with `groups:`"),
        ("groups: 5", "a.yml:1: groups must be a list"),
        ("groups:\n- name: a\n- name: a", "a.yml:3: there are two groups named 'a'"),
        ("groups:\n- rules: []", "a.yml:2: a group needs a name"),
        ("- 1", "a.yml:1: a rule file must be a mapping"),
    ],
)
def test_a_wrong_file(text: str, said: str) -> None:
    assert refused(text) == [said]


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("{expr: a}", "a rule needs a name under alert"),
        ("{alert: A}", "a rule needs an expr"),
        ("{alert: A, expr: a, four: 5m}", "four is unknown in a rule; known: alert, annotations, expr, for, homeostat"),
        ("{alert: A, expr: a, for: 5}", "for: '5' is no duration; write it like 30s, 5m or 1h30m"),
        ("{alert: A, expr: a, labels: {a-b: c}}", "'a-b' is no name for a label"),
        ("{alert: A, expr: a, labels: {a: [b]}}", "a must be a text"),
        ("{alert: A, expr: [a]}", "expr must be a text"),
        ("{alert: A, expr: a, homeostat: {detector: nope}}", "there is no detector named 'nope'; installed: "),
        ("{alert: A, expr: a, homeostat: {detector: threshold}}", "Threshold: op: Field required"),
        ("{alert: A, expr: a, homeostat: {params: {a: 1}}}", "params need a detector that they are for"),
        ("{alert: A, expr: 'a=', homeostat: {detector: zscore, params: {limit: x}}}", "Robust z-score: limit: Input"),
        ("{alert: A, expr: 'a!', homeostat: {detector: firing_alert}}", "cannot read 'a!'"),
        ("{alert: A, expr: a, homeostat: {enabled: maybe}}", "enabled is true or false"),
        ("{alert: A, expr: a, homeostat: {severity: page}}", "severity is critical, warning, info here"),
        ("{alert: A, expr: a, homeostat: {interval: 10ms}}", "an interval is at least 1s"),
        ("{alert: A, expr: a, homeostat: {missing: bad}}", "missing is ok, as in Prometheus, or unknown"),
        ("{alert: A, expr: a, homeostat: {nope: 1}}", "nope is unknown under homeostat here"),
        (f"{{alert: {'A' * 101}, expr: a}}", f"the name '{'A' * 101}' is longer than 100 characters"),
    ],
)
def test_a_wrong_rule(rule: str, said: str) -> None:
    (found,) = refused(f"groups:\n- name: g\n  rules:\n  - {rule}")
    assert found.startswith(f"a.yml:4: {said}")


def test_everything_that_is_wrong_is_said_at_once() -> None:
    text = "groups:\n- name: g\n  rules:\n  - {alert: A}\n  - {expr: b}\n- 5\n"
    assert [problem.partition(": ")[0] for problem in refused(text)] == ["a.yml:4", "a.yml:5", "a.yml:6"]


def test_severities_of_others() -> None:
    words = ["page", "Critical", "ticket", "", "none", "info", "{{ $labels.s }}"]
    assert [severity_of(word) for word in words] == ["critical", "critical", *["warning"] * 2, *["info"] * 2, "warning"]
