"""The service map: where nodes go, what is shown of many, and how a fault reaches what depends on it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.live import fragments
from dashboard.pages import health, servicemap
from dashboard.pages.layers import Layout, Link, layout
from dashboard.pages.servicemap import Drawing
from remediation.models import Service
from tests.dashboard import factories

# --- where nodes go -----------------------------------------------------------------------------------------------


def crossings(plan: Layout, links: list[Link]) -> int:
    """Pairs of links between two neighbouring layers whose ends are in another order than their beginnings."""
    ends = [(plan.places[one], plan.places[other]) for one, other in links]
    return sum(
        (a[1] - c[1]) * (b[1] - d[1]) < 0
        for at, (a, b) in enumerate(ends)
        for c, d in ends[at + 1 :]
        if a[0] == c[0] and b[0] == d[0]
    )


def test_what_is_needed_stands_in_a_later_layer() -> None:
    plan = layout((0, 1, 2, 3), ((0, 1), (1, 2), (0, 2), (0, 3)))
    assert [plan.places[node][0] for node in range(4)] == [0, 1, 2, 1]
    assert [layer for layer, _row in plan.bends[(0, 2)]] == [1]


def test_crossings_that_can_be_avoided_are() -> None:
    links = [(0, 5), (1, 4), (2, 3)]
    assert crossings(layout(tuple(range(6)), tuple(links)), links) == 0


def test_a_circle_is_drawn_all_the_same() -> None:
    plan = layout((0, 1, 2), ((0, 1), (1, 2), (2, 0)))
    assert sorted(layer for layer, _row in plan.places.values()) == [0, 1, 2]
    assert set(plan.bends) == {(0, 1), (1, 2), (2, 0)}
    assert layout((0, 1), ((0, 1), (1, 0), (0, 0))).bends == {(0, 1): (), (1, 0): ()}


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 14).flatmap(lambda n: st.tuples(st.just(n), st.lists(st.tuples(*[st.integers(0, n)] * 2)))))
def test_no_two_nodes_meet_whatever_depends_on_what(graph: tuple[int, list[Link]]) -> None:
    count, links = graph
    nodes = tuple(range(count))
    plan = layout(nodes, tuple(links))
    assert set(plan.places) == set(nodes)
    for one in nodes:
        for other in nodes[:one]:
            (layer, row), (beside, below) = plan.places[one], plan.places[other]
            assert layer != beside or abs(row - below) >= 0.98
    layout.cache_clear()
    assert layout(nodes, tuple(links)) == plan


# --- what is shown ------------------------------------------------------------------------------------------------


def drawn(scope: str) -> Drawing:
    return servicemap._drawn(health.everything(), scope)


def shop() -> tuple[Service, Service, Service]:
    """web needs store, store needs disk; pay needs nothing. All are watched and well."""
    disk = factories.a_service("disk", team="platform")
    store = factories.a_service("store", team="platform", depends_on=(disk,))
    web = factories.a_service("web", team="front", depends_on=(store,))
    pay = factories.a_service("pay", team="front")
    for one in (disk, store, web, pay):
        factories.a_series(factories.a_rule(one))
    return disk, store, web


@pytest.mark.django_db
def test_a_fault_is_seen_on_all_that_depends_on_it() -> None:
    disk, _store, _web = shop()
    calm = drawn("all")
    assert {node.affected for node in calm.nodes} == {False}
    assert {line.tone for line in calm.lines} == {"off"}
    factories.an_incident(factories.a_rule(disk))
    found = {node.title: node for node in drawn("all").nodes}
    assert (found["disk"].tone, found["disk"].affected) == ("firing", False)
    assert found["store"].word == found["web"].word == "Affected by disk"
    assert found["web"].about == "web: OK, affected by disk."
    assert not found["pay"].affected
    assert sorted(line.tone for line in drawn("all").lines) == ["firing", "pending"]


@pytest.mark.django_db
def test_a_line_runs_from_what_is_needed_to_what_needs_it() -> None:
    shop()
    found = {node.title: node for node in drawn("all").nodes}
    assert found["web"].x < found["store"].x < found["disk"].x
    starts = {line.path.split("C")[0] for line in drawn("all").lines}
    assert starts == {f"M{one.x:g} {one.y + servicemap.NODE_HEIGHT / 2:.1f}" for one in (found["store"], found["disk"])}


@pytest.mark.django_db
def test_each_node_knows_its_layer_and_what_it_needs() -> None:
    shop()
    found = {node.title: node for node in drawn("all").nodes}
    assert [found[title].layer for title in ("web", "store", "disk")] == [0, 1, 2]
    assert found["pay"].layer == -1
    assert found["web"].needs == (("store", "ok", "/services/store/"),)
    assert found["disk"].needs == ()


@pytest.mark.django_db
def test_of_many_what_is_not_well_is_shown_with_its_neighbours() -> None:
    disk, _store, _web = shop()
    assert drawn("trouble").empty == "All services are well."
    factories.an_incident(factories.a_rule(disk))
    assert sorted(node.title for node in drawn("trouble").nodes) == ["disk", "store"]
    assert drawn("trouble").said == "2 of 4 services"


@pytest.mark.django_db
def test_what_does_not_fit_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    disk, _store, _web = shop()
    factories.an_incident(factories.a_rule(disk))
    monkeypatch.setattr(servicemap, "NODES", 1)
    assert [node.title for node in drawn("all").nodes] == ["disk"]
    assert drawn("all").said == "The worst 1 of 4, of 4 services in all"


@pytest.mark.django_db
def test_teams_are_nodes_that_lead_to_their_services() -> None:
    disk, _store, _web = shop()
    factories.an_incident(factories.a_rule(disk))
    found = {node.title: node for node in drawn("teams").nodes}
    assert (found["platform"].tone, found["platform"].word) == ("firing", "1 / 2 Firing")
    assert found["front"].word == "2 services"
    assert found["front"].href == "/?view=map&show=team%3Dfront"
    assert sorted(node.title for node in drawn("team=front").nodes) == ["pay", "store", "web"]
    assert drawn("team=nobody").empty == "No service belongs here."


@pytest.mark.django_db
@pytest.mark.parametrize("scope", ["", "nonsense", "team=", "team=\x00"])
def test_a_senseless_part_of_the_map_is_no_error(scope: str) -> None:
    shop()
    assert f"map:{scope}".rstrip(":") in fragments.render([f"map:{scope}"])
