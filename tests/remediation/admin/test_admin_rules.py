"""Rules in the admin: the detector's own fields, the query tried on live data, versions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client

from remediation.admin import outside
from remediation.models import Incident, Rule, Service, Source, Transition
from tests.remediation.admin.conftest import errors, told

pytestmark = pytest.mark.django_db

ADD = "/admin/remediation/rule/add/"


def form(source: Source, **fields: Any) -> dict[str, Any]:
    return {
        "name": "CartDown",
        "service": "",
        "severity": "critical",
        "enabled": "on",
        "source": source.pk,
        "query": "up",
        "interval_s": "15",
        "detector": "threshold",
        "params-of": "threshold",
        "params-op": "<",
        "params-value": "1",
        "for_s": "0",
        "keep_firing_for_s": "0",
        "labels": "",
        "annotations": "",
    } | fields


def change(rule: Rule) -> str:
    return f"/admin/remediation/rule/{rule.pk}/change/"


def test_rule_is_stored_with_its_first_version(admin: Client, source: Source, cart: Service) -> None:
    fields = {"labels": "team=shop", "annotations": "summary=Cart {instance} is down", "service": cart.pk}
    response = admin.post(ADD, form(source, **fields), follow=True)
    rule = Rule.objects.get()
    assert (rule.params, rule.labels, rule.annotations, rule.version) == (
        {"op": "<", "value": 1.0},
        {"team": "shop"},
        {"summary": "Cart {instance} is down"},
        1,
    )
    assert rule.versions.get().author == "ada"
    assert "The query gives 1 series on prom now." in told(response)


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"params-value": ""}, {"params.value": ["This field is required."]}),
        ({"params-value": "much"}, {"params.value": ["Enter a number."]}),
        (
            {"params-op": "~"},
            {"params.op": ["Select a valid choice. ~ is not one of the available choices."]},
        ),
    ],
)
def test_wrong_parameter_is_said_at_its_field(
    admin: Client, source: Source, fields: dict[str, str], wrong: dict[str, list[str]]
) -> None:
    said = errors(admin.post(ADD, form(source, **fields)))
    assert said.pop("form") == ["Some parameters of the detector are not right: see what is marked below."]
    assert said == wrong
    assert not Rule.objects.exists()


def test_limit_that_only_the_schema_knows_is_said_at_its_field(admin: Client, source: Source) -> None:
    fields = {"detector": "zscore", "params-of": "zscore", "params-step_s": "0", "params-limit": "6"}
    said = errors(admin.post(ADD, form(source, **fields)))
    assert said["params.step_s"] == ["Input should be greater than 0."]


def test_empty_parameter_takes_the_default(admin: Client, source: Source) -> None:
    names = ("limit", "direction", "minimum_effect", "window_s", "step_s", "skip_s", "minimum_points")
    fields = {f"params-{name}": "" for name in names} | {"params-direction": "high", "params-limit": "4"}
    admin.post(ADD, form(source, detector="zscore", **{"params-of": "zscore"} | fields))
    assert Rule.objects.get().params == {"limit": 4.0, "direction": "high"}


def test_refused_query_is_said_at_the_query_in_the_words_of_prometheus(admin: Client, source: Source) -> None:
    response = admin.post(ADD, form(source, query="bad(up", insist="query:refused"))
    assert errors(response) == {"query": ['The source refuses this query: unclosed "(" <b>']}
    assert b"<b>" not in response.content.split(b"refuses this query", 1)[1][:60]
    assert b'name="insist"' not in response.content
    assert not Rule.objects.exists()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("nothing", ("matches no series", "query:empty", "an empty result")),
        ("up > 0", ("Write only up here", "query:compared", "a comparison in the query")),
        ("up or nobody", ("nobody_home", "query:unknown_metric", "unknown metric")),
        ('up{jop="cart"}', ("Meant may be: job.", "query:unknown_label", "unknown label")),
        ("rate(up[1s])", ("Take [4s] or longer.", "query:short_query", "short query")),
    ],
)
def test_what_the_source_says_against_a_rule_is_refused_until_a_person_insists(
    admin: Client, source: Source, query: str, expected: tuple[str, str, str]
) -> None:
    words, code, author = expected
    assert 'name="insist"' not in admin.get(ADD).content.decode()
    response = admin.post(ADD, form(source, query=query))
    assert list(errors(response)) == ["query"] and words in errors(response)["query"][0]
    assert f'name="insist" value="{code}"' in response.content.decode()
    assert not Rule.objects.exists()
    again = admin.post(ADD, form(source, insist=code, query=query), follow=True)
    assert told(again)[0].startswith("Saved all the same: ")
    rule = Rule.objects.get()
    assert rule.versions.get().author == f"ada, insisting on {author}"
    line = Transition.objects.get(kind="rule", object_id=rule.pk)
    assert (line.to_state, line.actor) == ("saved_anyway", "ada")
    assert line.facts == {"doubts": [dict(zip(("field", "code"), code.split(":"), strict=True))]}


def test_insisting_on_one_thing_is_not_insisting_on_another(admin: Client, source: Source) -> None:
    response = admin.post(ADD, form(source, query="up > 0", insist="query:empty"))
    assert list(errors(response)) == ["query"]
    assert not Rule.objects.exists()


def test_parameters_that_could_never_judge_are_said_at_their_field(admin: Client, source: Source) -> None:
    fields = {"detector": "ewma", "params-of": "ewma", "params-direction": "both", "params-window_s": "60"}
    response = admin.post(ADD, form(source, **fields))
    assert errors(response)["params.window_s"][0].startswith("That holds 0 points, 15s apart")
    assert b'name="insist"' not in response.content
    admin.post(ADD, form(source, insist="params.window_s:few_points", **fields))
    assert not Rule.objects.exists()


def test_source_that_is_away_refuses_only_what_it_would_be_asked(admin: Client, away: Source) -> None:
    response = admin.post(ADD, form(away))
    assert errors(response)["source"][0].startswith("The query could not be tried: ")
    admin.post(ADD, form(away, insist="source:unreachable"))
    rule = Rule.objects.get()
    admin.post(change(rule), form(away, severity="info", enabled=""))
    rule.refresh_from_db()
    assert (rule.severity, rule.enabled) == ("info", False)
    assert errors(admin.post(change(rule), form(away, query="up * 2")))["source"]


def test_matchers_of_alerts_are_read(admin: Client, away: Source) -> None:
    fields = {"detector": "firing_alert", "params-of": "firing_alert", "query": 'alertname="'}
    assert list(errors(admin.post(ADD, form(away, **fields)))) == ["query"]
    admin.post(ADD, form(away, **fields | {"query": 'alertname="X"'}))
    assert Rule.objects.get().detector == "firing_alert"


def test_another_detector_without_javascript_shows_its_fields_first(admin: Client, source: Source) -> None:
    """The page held the fields of threshold; what was typed there is not taken for the new detector's."""
    response = admin.post(ADD, form(source, detector="absent"))
    assert errors(response)["detector"] == ["Now these are the parameters of Absent: check them and save again."]
    assert b'name="params-labels"' in response.content
    assert b'name="params-of" value="absent"' in response.content


def test_parameters_of_another_detector_are_served_to_the_page(admin: Client) -> None:
    response = admin.get("/admin/remediation/rule/params/", {"plugin": "zscore", "prefix": "params"})
    assert (response.status_code, b'name="params-window_s"' in response.content) == (200, True)


@pytest.mark.parametrize("asked", [{"plugin": "zzz", "prefix": "params"}, {"plugin": "zscore", "prefix": '"><b'}])
def test_senseless_request_for_parameters_is_404(admin: Client, asked: dict[str, str]) -> None:
    assert admin.get("/admin/remediation/rule/params/", asked).status_code == 404


def test_detector_that_is_gone_shows_as_such_and_cannot_be_saved(admin: Client, source: Source) -> None:
    rule = Rule.objects.create(name="Old", source=source, query="up", detector="crystal_ball", params={"glow": 1})
    response = admin.get(change(rule))
    text = response.content.decode()
    assert (response.status_code, "crystal_ball (not installed)" in text, "glow" in text) == (200, True, True)
    response = admin.post(change(rule), form(source, detector="crystal_ball", **{"params-of": "crystal_ball"}))
    assert errors(response)["detector"][0].startswith("there is no detector named 'crystal_ball'")
    assert admin.get("/admin/remediation/rule/").status_code == 200
    rule.refresh_from_db()
    assert rule.params == {"glow": 1}


def test_parameter_that_no_longer_exists_is_shown_and_dropped(admin: Client, source: Source) -> None:
    rule = Rule.objects.create(
        name="R", source=source, query="up", detector="threshold", params={"op": "<", "value": 1, "old": "x"}
    )
    assert "dropped when you save: old = x" in admin.get(change(rule)).content.decode()
    admin.post(change(rule), form(source, name="R"))
    rule.refresh_from_db()
    assert rule.params == {"op": "<", "value": 1}


def test_saving_unchanged_makes_no_version(admin: Client, source: Source) -> None:
    admin.post(ADD, form(source))
    rule = Rule.objects.get()
    admin.post(change(rule), form(source))
    assert rule.versions.count() == 1


def test_versions_say_what_changed(admin: Client, source: Source) -> None:
    admin.post(ADD, form(source))
    rule = Rule.objects.get()
    admin.post(change(rule), form(source, **{"params-value": "0.5", "for_s": "30"}))
    rule.refresh_from_db()
    assert rule.version == 2
    text = admin.get(change(rule)).content.decode()
    assert "<code>params.value</code>: <del>1</del> → <ins>0.5</ins>" in text
    assert "<code>for_s</code>: <del>0</del> → <ins>30</ins>" in text


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ("team", "Write one name=value a line; 'team' is none."),
        ("team=a\nteam=b", "team is there twice."),
        ("1x=y", "'1x' is no label name: letters, digits and underscores, no digit first."),
        ('{"a": 1}', "The value of label 'a' must be a text."),
        ('{"a": ', "This is no JSON"),
    ],
)
def test_wrong_labels_are_said_at_labels(admin: Client, source: Source, labels: str, words: str) -> None:
    said = errors(admin.post(ADD, form(source, labels=labels)))
    assert list(said) == ["labels"]
    assert said["labels"][0].startswith(words)


def test_hostile_texts_are_inert(admin: Client, source: Source) -> None:
    evil = "<img src=x onerror=alert(1)>"
    fields = {"name": evil, "annotations": f"summary={evil} {{{{7*7}}}}", "labels": f"team={evil}"}
    response = admin.post(ADD, form(source, **fields), follow=True)
    rule = Rule.objects.get()
    admin.post(change(rule), form(source, **fields | {"annotations": f"summary=new {evil}"}))
    pages = [response.content, admin.get(change(rule)).content, admin.get("/admin/remediation/rule/").content]
    assert [evil in page.decode() for page in pages] == [False, False, False]


def test_rule_with_incidents_is_not_deleted(admin: Client, source: Source) -> None:
    rule = Rule.objects.create(
        name="R", source=source, query="up", detector="threshold", params={"op": "<", "value": 1}
    )
    now = datetime.now(UTC)
    version = rule.keep_version(author="test", now=now)
    Incident.objects.create(
        rule=rule, rule_version=version, fingerprint="f", series_labels={}, labels={}, state_since=now, opened_at=now
    )
    response = admin.post(f"/admin/remediation/rule/{rule.pk}/delete/", {"post": "yes"}, follow=True)
    assert told(response)[0].startswith("R cannot be deleted: ")
    assert told(response)[0].endswith("Switch it off instead (enabled).")
    assert Rule.objects.exists()


def test_rule_without_incidents_is_deleted(admin: Client, source: Source) -> None:
    rule = Rule.objects.create(
        name="R", source=source, query="up", detector="threshold", params={"op": "<", "value": 1}
    )
    rule.keep_version(author="test", now=datetime.now(UTC))
    admin.post(f"/admin/remediation/rule/{rule.pk}/delete/", {"post": "yes"})
    assert not Rule.objects.exists()


def test_list_shows_state_and_is_few_queries(admin: Client, source: Source, django_assert_max_num_queries: Any) -> None:
    for number in range(20):
        Rule.objects.create(name=f"R{number}", source=source, query="up", detector="threshold")
    with django_assert_max_num_queries(20):
        assert admin.get("/admin/remediation/rule/?q=R1").status_code == 200


def test_further_conditions_and_traffic_are_asked_as_well(source: Source) -> None:
    rule = Rule(
        name="R",
        source=source,
        query="up",
        detector="threshold",
        params={"op": "<", "value": 1},
        conditions=[
            {"query": "up", "detector": "absent", "params": {}},
            {"query": "nothing", "detector": "threshold", "params": {"op": ">", "value": 0}},
        ],
        traffic_query="bad(",
        minimum_traffic=1,
    )
    found = outside.ask_rule(rule, now=1e9)
    assert [(doubt.field, doubt.code, doubt.insist) for doubt in found.doubts] == [
        ("conditions", "empty", True),
        ("traffic_query", "refused", False),
    ]
    assert str(found.doubts[0].text).startswith("Condition 3: The query matches no series")
    assert found.series == 1


def test_doubts_about_a_further_condition_are_said_at_it(admin: Client, source: Source) -> None:
    own = {"query": "nothing", "detector": "threshold", "params-of": "threshold", "params-op": ">", "params-value": "0"}
    block = {f"conditions-0-{name}": value for name, value in own.items()}
    fields = form(
        source, **block | {"conditions-count": "1", "need": "all", "traffic_query": "", "minimum_traffic": ""}
    )
    assert list(errors(admin.post(ADD, fields))) == ["conditions"]
    admin.post(ADD, fields | {"insist": "conditions:empty"})
    assert Rule.objects.get().conditions[0]["query"] == "nothing"
