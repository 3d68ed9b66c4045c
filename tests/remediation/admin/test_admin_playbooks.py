"""Playbooks in the admin: a ladder of steps with the verbs' own fields, versions, and the loss of auto."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from remediation.admin.texts import QueriesField
from remediation.models import Playbook, Step, Transition
from tests.remediation.admin.conftest import param_errors, told

pytestmark = pytest.mark.django_db

ADD = "/admin/remediation/playbook/add/"


def step(number: int, verb: str = "restart", **fields: Any) -> dict[str, Any]:
    values = {
        "position": number + 1,
        "verb": verb,
        "params-of": verb,
        "select": "",
        "max_targets": 1,
        "max_attempts": 1,
        "timeout_s": 30,
        "approvals": 1,
        "approval_ttl_s": 900,
        "cooldown_s": 60,
        "budget": 3,
        "budget_window_s": 3600,
        "good_samples": 3,
        "verify_within_s": 60,
        "settle_s": 0,
        "rollout": "one",
        "min_healthy": 1,
        "budget_per_target": 0,
        "relapse_s": 600,
        "collateral": "on",
        "undo": "on",
    } | fields
    return {f"steps-{number}-{name}": value for name, value in values.items()}


def form(*steps: dict[str, Any], stored: int = 0, **fields: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "name": "Restart",
        "description": "",
        "matchers": 'alertname="CartDown"',
        "autonomy": "approve",
        "priority": "0",
        "enabled": "on",
        "shadow_window_s": 600,
        "silence_days": 60,
        "promote_after": 10,
        "promote_lift": 0.1,
        "masking_after": 5,
        "masking_window_s": 604800,
        "steps-TOTAL_FORMS": len(steps),
        "steps-INITIAL_FORMS": stored,
        "steps-MIN_NUM_FORMS": 0,
        "steps-MAX_NUM_FORMS": 1000,
    } | fields
    for item in steps:
        values |= item
    return values


def change(playbook: Playbook) -> str:
    return f"/admin/remediation/playbook/{playbook.pk}/change/"


def stored_steps(playbook: Playbook) -> list[dict[str, Any]]:
    """The identity of each stored step, for a change."""
    rows = playbook.steps.order_by("position")
    return [{f"steps-{number}-id": row.pk, f"steps-{number}-playbook": playbook.pk} for number, row in enumerate(rows)]


def step_errors(response: Any) -> list[dict[str, list[str]]]:
    forms = response.context["inline_admin_formsets"][0].formset.forms
    return [{name: list(said) for name, said in item.errors.items()} | param_errors(item) for item in forms]


def test_playbook_with_steps_is_stored_as_version_one(admin: Client) -> None:
    admin.post(ADD, form(step(0), step(1, "scale", **{"params-by": "2", "params-maximum": "4"}), autonomy="auto"))
    playbook = Playbook.objects.get()
    assert list(playbook.steps.values_list("position", "verb", "params")) == [
        (1, "restart", {}),
        (2, "scale", {"by": 2, "maximum": 4}),
    ]
    assert (playbook.version, playbook.autonomy) == (1, "auto")


def test_wrong_parameter_of_a_step_is_said_at_its_field(admin: Client) -> None:
    response = admin.post(ADD, form(step(0), step(1, "scale", **{"params-by": "1000"})))
    first, second = step_errors(response)
    assert first == {}
    assert second["params.by"] == ["Ensure this value is less than or equal to 100."]
    assert not Playbook.objects.exists()


def test_what_fields_say_together_is_said_above_them(admin: Client) -> None:
    fields = {"params-by": "1", "params-minimum": "5", "params-maximum": "2"}
    found = step_errors(admin.post(ADD, form(step(0, "scale", **fields))))
    assert found[0]["params.__all__"] == ["The maximum is below the minimum."]


def test_step_without_verb_is_said_at_the_verb(admin: Client) -> None:
    assert list(step_errors(admin.post(ADD, form(step(0, "", timeout_s=31))))[0]) == ["verb"]


def test_two_steps_with_one_position_are_refused(admin: Client) -> None:
    response = admin.post(ADD, form(step(0), step(1, position=1)))
    assert step_errors(response)[1] == {"position": ["Another step has this position."]}


def test_steps_change_places(admin: Client) -> None:
    admin.post(ADD, form(step(0), step(1, "scale")))
    playbook = Playbook.objects.get()
    first, second = stored_steps(playbook)
    moved = form(step(0, position=2) | first, step(1, "scale", position=1) | second, stored=2)
    response = admin.post(change(playbook), moved)
    assert response.status_code == 302
    assert list(playbook.steps.order_by("position").values_list("position", "verb")) == [(1, "scale"), (2, "restart")]


def test_step_is_deleted_and_another_takes_its_place(admin: Client) -> None:
    admin.post(ADD, form(step(0), step(1, "scale")))
    playbook = Playbook.objects.get()
    first, second = stored_steps(playbook)
    edited = form(step(0) | first | {"steps-0-DELETE": "on"}, step(1, "scale", position=1) | second, stored=2)
    admin.post(change(playbook), edited)
    assert list(playbook.steps.values_list("position", "verb")) == [(1, "scale")]


def test_edited_playbook_loses_auto_and_the_person_is_told(admin: Client) -> None:
    admin.post(ADD, form(step(0), autonomy="auto"))
    playbook = Playbook.objects.get()
    (first,) = stored_steps(playbook)
    edited = form(step(0, timeout_s=60) | first, stored=1, autonomy="auto")
    response = admin.post(change(playbook), edited, follow=True)
    playbook.refresh_from_db()
    assert (playbook.autonomy, playbook.version) == ("approve", 2)
    assert any("its autonomy went from auto to approve" in text for text in told(response))
    text = admin.get(change(playbook)).content.decode()
    assert "<code>steps 1.timeout_s</code>: <del>30</del> → <ins>60</ins>" in text


def test_a_form_gives_no_autonomy_back(admin: Client) -> None:
    """It was opened while the playbook was auto; then a repair made things worse."""
    admin.post(ADD, form(step(0), autonomy="auto"))
    playbook = Playbook.objects.get()
    (first,) = stored_steps(playbook)
    Playbook.objects.update(autonomy="approve", autonomy_reason="made things worse")
    admin.post(change(playbook), form(step(0) | first, stored=1, autonomy="auto", description="new"))
    playbook.refresh_from_db()
    assert (playbook.autonomy, playbook.autonomy_reason) == ("approve", "made things worse")
    assert (playbook.description, playbook.version) == ("new", 1)


def test_the_autonomy_that_a_playbook_begins_with_is_in_its_history(admin: Client) -> None:
    admin.post(ADD, form(step(0), autonomy="auto"))
    line = Transition.objects.get(kind="playbook", to_state="autonomy auto")
    assert (line.object_id, line.actor) == (Playbook.objects.get().pk, "ada")


@pytest.mark.parametrize("matchers", ["", "alertname", 'alertname=~"("'])
def test_wrong_matchers_are_said_at_matchers(admin: Client, matchers: str) -> None:
    response = admin.post(ADD, form(step(0), matchers=matchers))
    assert list(response.context["adminform"].form.errors) == ["matchers"]


def test_verb_that_is_gone_shows_as_such(admin: Client) -> None:
    playbook = Playbook.objects.create(name="Old", matchers='a="b"')
    playbook.steps.create(position=1, verb="levitate", params={"height": 3})
    text = admin.get(change(playbook)).content.decode()
    assert ("levitate (not installed)" in text, "height" in text) == (True, True)


def test_parameters_of_a_verb_are_served_to_the_page(admin: Client) -> None:
    response = admin.get("/admin/remediation/playbook/params/", {"plugin": "scale", "prefix": "steps-3-params"})
    assert b'name="steps-3-params-by"' in response.content


def test_every_field_of_a_step_is_shown_with_help(admin: Client) -> None:
    formset = admin.get(ADD).context["inline_admin_formsets"][0]
    shown = {field.field.name: field for form in formset for part in form for line in part for field in line}
    stored = {field.name for field in Step._meta.concrete_fields if field.editable} - {"id", "playbook"}
    assert shown.keys() == stored
    without = [name for name, one in shown.items() if not one.field.help_text and name not in ("verb", "params")]
    assert without == []


def test_every_field_of_a_playbook_is_shown(admin: Client) -> None:
    shown = set(admin.get(ADD).context["adminform"].form.fields)
    assert shown == {field.name for field in Playbook._meta.concrete_fields if field.editable} - {"id"}


def test_a_step_keeps_all_that_was_said(admin: Client) -> None:
    said: dict[str, Any] = {
        "min_healthy": 2,
        "rollout": "doubling",
        "domain": "zone",
        "budget_per_target": 1,
        "relapse_s": 30,
        "verify_queries": 'sum by (job) (rate(e{a="b"}[1m])) <= 0.05\nup == 1',
        "undo": "",
    }
    assert admin.post(ADD, form(step(0, **said))).status_code == 302
    row = Step.objects.get()
    assert (row.min_healthy, row.rollout, row.domain, row.budget_per_target) == (2, "doubling", "zone", 1)
    assert (row.relapse_s, row.collateral, row.undo) == (30, True, False)
    assert row.verify_queries == [
        {"query": 'sum by (job) (rate(e{a="b"}[1m]))', "op": "<=", "value": 0.05},
        {"query": "up", "op": "==", "value": 1},
    ]
    page = admin.get(change(Playbook.objects.get())).content.decode()
    assert "sum by (job) (rate(e{a=&quot;b&quot;}[1m])) &lt;= 0.05\nup == 1</textarea>" in page


@pytest.mark.parametrize(
    "text",
    ["up", "up < soon", "< 5", '[{"query": "up"}]', '[{"query": "up", "op": "~", "value": 1}]', "[1]", "up < true",
     '[{"query": "up", "op": "<", "value": NaN}]', "["],
)  # fmt: skip
def test_what_cannot_be_verified_is_refused_at_its_field(admin: Client, text: str) -> None:
    errors = step_errors(admin.post(ADD, form(step(0, verify_queries=text))))
    assert list(errors[0]) == ["verify_queries"]


def test_a_query_of_several_lines_is_shown_as_json() -> None:
    field = QueriesField()
    stored = [{"query": "up\n * 2", "op": "<", "value": 5}]
    assert field.to_python(field.prepare_value(stored)) == stored
    assert not field.has_changed(stored, field.prepare_value(stored))
