"""Files applied to a database: the plan, doing it, who may change what, and the way back into a file."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediation.exceptions import Conflict
from remediation.models import Incident, Rule, Service, Source
from remediation.rules import declared, export, plan, showing
from remediation.rules.plan import Terms
from remediation.rules.reading import Unreadable

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
MINE = Terms()
TEXT = """
groups:
  - name: cart
    interval: 15s
    homeostat: {service: cart}
    rules:
      - alert: CartDown
        expr: up{job="cart"} == 0
        for: 1m
        labels: {severity: critical}
        annotations: {summary: "{{ $labels.instance }} is down"}
      - alert: CartSlow
        expr: latency
        labels: {severity: page, team: shop}
        homeostat: {detector: zscore, params: {limit: 8.5, direction: high}}
      - alert: CartOdd
        expr: a > 1 and b > 1
      - alert: CartGone
        expr: absent(up{job="cart"})
"""


@pytest.fixture(autouse=True)
def shop(request: pytest.FixtureRequest) -> None:
    if "db" in request.fixturenames or request.node.get_closest_marker("django_db"):
        request.getfixturevalue("db")
        Source.objects.create(name="main", url="http://127.0.0.1:1")
        Service.objects.create(name="cart")


def planned(text: str = TEXT, terms: Terms = MINE) -> plan.Plan:
    return plan.make(declared.read([("a.yml", text)]), terms)


def applied(text: str = TEXT, terms: Terms = MINE) -> plan.Plan:
    found = declared.read([("a.yml", text)])
    shown = plan.make(found, terms)
    plan.carry_out(found, shown, terms, author="ann", now=NOW)
    return shown


@pytest.mark.django_db
def test_the_first_apply_adds_and_the_second_finds_nothing() -> None:
    assert applied().count("add") == 4
    down = Rule.objects.get(name="CartDown")
    assert (down.query, down.params, down.for_s, down.severity) == (
        'up{job="cart"}',
        {"op": "==", "value": 0.0},
        60,
        "critical",
    )
    assert (down.source.name, str(down.service), down.managed_by, down.version) == ("main", "cart", "files", 1)
    assert down.versions.get().author == "ann"
    again = planned()
    assert (again.changes, again.unchanged, showing.as_text(again)) == ((), 4, "Nothing to do; 4 unchanged.")


@pytest.mark.django_db
def test_a_change_is_shown_field_by_field_and_makes_a_version() -> None:
    applied()
    text = TEXT.replace("for: 1m", "for: 90s").replace("limit: 8.5", "limit: 9").replace(" is down", " is\\ngone")
    assert showing.as_text(planned(text)).splitlines() == [
        "~ CartDown  (a.yml:7)",
        "    for: 1m → 1m30s",
        "    annotations.summary:",
        "      - {{ $labels.instance }} is down",
        "      + {{ $labels.instance }} is",
        "      + gone",
        "~ CartSlow  (a.yml:12)",
        "    params.limit: 8.5 → 9",
        "2 to change; 2 unchanged.",
    ]
    applied(text)
    assert Rule.objects.get(name="CartDown").version == 2
    assert Rule.objects.get(name="CartOdd").version == 1


@pytest.mark.django_db
def test_what_is_exported_applies_without_a_difference() -> None:
    applied()
    text = export.as_text(Rule.objects.all())
    again = planned(text)
    assert (again.changes, again.unchanged) == ((), 4)
    assert 'expr: up{job="cart"} == 0' in text and 'expr: absent(up{job="cart"})' in text


@pytest.mark.django_db
@pytest.mark.parametrize("owner", ["", "team-b"])
def test_a_rule_that_is_managed_elsewhere_is_not_touched(owner: str) -> None:
    applied()
    Rule.objects.filter(name="CartOdd").update(managed_by=owner, for_s=5)
    refused = planned()
    assert refused.refused == (f"CartOdd is managed {'by ' + repr(owner) if owner else 'by hand'}",)
    with pytest.raises(Conflict, match="CartOdd is managed"):
        applied()
    mine = planned(terms=Terms(take_over=True))
    assert [(item.field, item.old, item.new) for item in mine.changes[0].differences] == [
        ("for_s", 5, 0),
        ("managed_by", owner, "files"),
    ]
    applied(terms=Terms(take_over=True))
    assert planned().changes == ()


@pytest.mark.django_db
def test_prune_removes_only_what_the_owner_applied() -> None:
    applied()
    Rule.objects.create(name="ByHand", source=Source.objects.get(), query="up", detector="expression")
    empty = "groups: []"
    assert planned(empty).left == ("CartDown", "CartGone", "CartOdd", "CartSlow")
    shown = applied(empty, Terms(prune=True))
    assert (shown.count("remove"), shown.left) == (4, ())
    assert list(Rule.objects.values_list("name", flat=True)) == ["ByHand"]


@pytest.mark.django_db
def test_a_pruned_rule_with_incidents_is_disabled_and_its_incidents_end() -> None:
    applied()
    rule = Rule.objects.get(name="CartDown")
    incident = Incident.objects.create(
        rule=rule, rule_version=rule.versions.get(), series_labels={}, labels={}, state_since=NOW, opened_at=NOW
    )
    shown = applied("groups: []", Terms(prune=True))
    assert (shown.count("remove"), shown.count("disable")) == (3, 1)
    incident.refresh_from_db()
    assert (incident.state, Rule.objects.get().enabled) == ("resolved", False)
    assert planned("groups: []", Terms(prune=True)).changes == ()


@pytest.mark.django_db
def test_all_or_nothing() -> None:
    found = declared.read([("a.yml", TEXT)])
    shown = plan.make(found, MINE)
    Rule.objects.create(name="CartDown", source=Source.objects.get(), query="up", detector="expression")
    with pytest.raises(Conflict, match="changed since this plan was made"):
        plan.carry_out(found, shown, MINE, author="ann", now=NOW)
    assert Rule.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("own", "said"),
    [
        ("source: nope", "a.yml:1: there is no source named 'nope'; there are: main"),
        ("service: nope", "a.yml:1: there is no service named 'nope'; there are: cart"),
    ],
)
def test_a_source_or_service_that_does_not_exist(own: str, said: str) -> None:
    with pytest.raises(Unreadable) as caught:
        planned(f"groups: [{{name: g, rules: [{{alert: A, expr: a, homeostat: {{{own}}}}}]}}]")
    assert str(caught.value) == said


@pytest.mark.django_db
def test_two_sources_and_no_word_which() -> None:
    Source.objects.create(name="other", url="http://127.0.0.1:2")
    with pytest.raises(Unreadable, match="say with --source where it is asked: main, other"):
        planned()
    assert planned(terms=Terms(source="other")).count("add") == 4


names = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,8}", fullmatch=True)
words = st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n\t"), min_size=1, max_size=30)
pairs = st.dictionaries(names.filter(lambda name: name not in ("alertname", "severity")), words, max_size=3)
spans = st.integers(0, 10_000_000).map(lambda ms: ms / 1000)
detectors: st.SearchStrategy[tuple[str, dict[str, Any]]] = st.one_of(
    st.tuples(
        st.sampled_from(["threshold", "expression"]),
        st.fixed_dictionaries({"op": st.sampled_from([">", "!="]), "value": st.floats(-9, 9)}),
    ),
    st.tuples(st.just("expression"), st.sampled_from([{}, {"op": None, "value": None}])),
    st.tuples(st.just("zscore"), st.just({"limit": 6.5, "direction": "low"})),
    st.tuples(st.just("absent"), st.fixed_dictionaries({"labels": pairs})),
)


@st.composite
def stored(draw: st.DrawFn) -> Rule:
    detector, params = draw(detectors)
    name, labels = draw(words.map(str.strip).filter(bool)), draw(pairs)
    alert = draw(st.one_of(st.none(), words.map(str.strip).filter(bool)))
    word = draw(st.one_of(st.none(), words))
    labels |= ({"alertname": alert} if alert else {}) | ({"severity": word} if word else {})
    return Rule(
        name=name,
        source=Source(name="main"),
        service=draw(st.one_of(st.none(), st.just(Service(name="cart")))),
        query=draw(st.one_of(words, st.sampled_from(["up", "a > 5", "absent(a)", "a and b", "up{a='>'}"]))) + "x",
        detector=detector,
        params=params,
        interval_s=draw(spans) + 1,
        for_s=draw(spans),
        keep_firing_for_s=draw(spans),
        severity=draw(st.sampled_from(["critical", "warning", "info"])),
        labels=labels,
        annotations=draw(pairs),
        enabled=draw(st.booleans()),
    )


def said(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name != "managed_by"}


@given(stored())
def test_every_rule_survives_the_way_through_a_file(rule: Rule) -> None:
    (found,) = declared.read([("a.yml", export.as_text([rule]))]).rules
    assert found.name == rule.name
    assert plan.values_of_declared(found) == said(plan.values_of_rule(rule))


@given(stored())
def test_what_is_exported_for_prometheus_has_nothing_of_ours(rule: Rule) -> None:
    if export.for_prometheus(rule):
        assert "homeostat" not in export.as_text([rule], plain=True).replace(rule.name, "")
