"""What a prepared statement comes to is what the queryset comes to, for every kind of value; it is compiled once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import Count, F, Q, Sum
from django.test.utils import CaptureQueriesContext

from remediation.models import Incident, Place, Prepared, PreparedTally, PreparedUpdate, Remediation, RuleStatus, Target
from remediation.models.prepared import LONGEST
from remediation.states import IncidentState
from tests.remediation.decide.situations import NOW, a_rule, a_situation, an_incident
from tests.remediation.world import make_service

pytestmark = pytest.mark.django_db


@pytest.fixture
def incidents() -> list[Incident]:
    """Two of a service, the second an hour later, and one of none."""
    service = make_service()
    rule = a_rule(service)
    return [
        an_incident(rule, service, "app-1"),
        an_incident(rule, service, "app-2", opened_at=NOW + timedelta(hours=1)),
        an_incident(rule, None, "lost"),
    ]


def of_service() -> Prepared[Incident]:
    return Prepared(
        lambda given: (
            Incident.objects.filter(service=given("service"), opened_at__lte=given("now"))
            .select_related("rule__source", "service")
            .order_by("pk")
        )
    )


def test_objects_are_whole_with_what_is_related(incidents: list[Incident]) -> None:
    question = of_service()
    for _ in range(2):  # compiled, and kept
        with CaptureQueriesContext(connection) as asked:
            (found,) = question.all(service=incidents[0].service_id, now=NOW)
            told = (found.rule.source.name, found.service.name if found.service else "")
        assert len(asked) == 1
        assert told == ("prom", "web")
    (same,) = Incident.objects.filter(pk=incidents[0].pk)
    for field in Incident._meta.concrete_fields:
        assert getattr(found, field.attname) == getattr(same, field.attname), field.name
    assert found._state.db == "default"
    assert not found._state.adding


def test_each_asking_has_its_own_values(incidents: list[Incident]) -> None:
    question = of_service()
    later = NOW + timedelta(hours=2)
    service = incidents[0].service_id
    assert [len(question.all(service=service, now=now)) for now in (NOW, later, NOW)] == [1, 2, 1]


def test_none_is_asked_for_as_null(incidents: list[Incident]) -> None:
    question = of_service()
    assert question.all(service=None, now=NOW) == [incidents[2]]
    assert question.all(service=incidents[0].service_id, now=NOW) == [incidents[0]]
    assert question.first(service=-1, now=NOW) is None


@pytest.mark.parametrize("length", [0, 1, 2, LONGEST + 1])
def test_lists_may_have_any_length(incidents: list[Incident], length: int) -> None:
    question = Prepared(lambda given: Incident.objects.filter(pk__in=given("pks")).order_by("pk"))
    wanted = [row.pk for row in incidents[:length]] + [-1] * (length - 3)
    assert question.all(pks=wanted) == incidents[:length]


def test_hostile_text_is_a_value(incidents: list[Incident]) -> None:
    question = Prepared(lambda given: Incident.objects.filter(fingerprint=given("name")).values_list("pk", flat=True))
    assert question.all(name="app-1") == [incidents[0].pk]
    assert question.all(name="app-1' OR 1=1 --") == []
    assert question.all(name="%s") == []


def test_columns_come_as_the_models_have_them(incidents: list[Incident]) -> None:
    question = Prepared(lambda given: Incident.objects.filter(pk=given("pk")).values_list("labels", "opened_at"))
    assert question.all(pk=incidents[1].pk) == [({"target": "app-2"}, NOW + timedelta(hours=1))]


def test_tally_is_the_aggregate(incidents: list[Incident]) -> None:
    tally = PreparedTally(
        lambda given: Incident.objects.filter(rule=given("rule")),
        known=Count("pk"),
        late=Count("pk", filter=Q(opened_at__gt=Place("since"))),
    )
    rule = incidents[0].rule_id
    assert tally.of(rule=rule, since=NOW) == {"known": 3, "late": 1}
    assert tally.of(rule=rule, since=NOW - timedelta(hours=1)) == {"known": 3, "late": 3}
    assert tally.of(rule=-1, since=NOW) == {"known": 0, "late": 0}
    nothing = PreparedTally(lambda given: RuleStatus.objects.filter(rule=given("rule")), series=Sum("series"))
    assert nothing.of(rule=rule) == {"series": None}


def test_update_writes_what_the_field_holds_and_says_how_many() -> None:
    row = a_situation().remediation
    write = PreparedUpdate(
        lambda given: Remediation.objects.filter(pk=given("pk"), incident__state=IncidentState.FIRING),
        fence=F("fence") + 1,
        guards=Place("guards"),
        due_at=Place("due"),
    )
    assert write.run(pk=row.pk, guards=[{"a": "é"}], due=NOW) == 1
    assert write.run(pk=row.pk, guards=[], due=None) == 1
    assert write.run(pk=-1, guards=[], due=None) == 0
    row.refresh_from_db()
    assert (row.fence, row.guards, row.due_at) == (2, [], None)


def test_update_that_breaks_a_constraint_spoils_the_transaction() -> None:
    service = make_service()
    rename = PreparedUpdate(lambda given: Target.objects.filter(service=given("service")), name=Place("name"))
    with pytest.raises(IntegrityError), transaction.atomic():
        rename.run(service=service.pk, name="same")
    assert Target.objects.filter(name="same").count() == 0


def test_what_is_not_given_is_an_error() -> None:
    question: Prepared[Any] = of_service()
    with pytest.raises(KeyError):
        question.all(service=1)
