"""The first run against a real Prometheus that scrapes exporters of our own: from nothing to a rule in shadow."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
import requests
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from dashboard.pages.first_run_services import Instance
from deploy import tools
from remediation.models import Playbook, Rule, Service, Source, Target
from tests.dashboard import factories
from tests.remediation.observe.servers import answer, prometheus_running, serving, wait_until

pytestmark = [pytest.mark.real, pytest.mark.django_db]

CONFIG = """
global: {{scrape_interval: 500ms, scrape_timeout: 400ms}}
scrape_configs:
  - job_name: redis
    static_configs: [{{targets: ['{toy}'], labels: {{service: sessions}}}}]
  - job_name: edge
    metrics_path: /edge
    static_configs: [{{targets: ['{toy}']}}]
  - job_name: proxy
    metrics_path: /proxy
    static_configs: [{{targets: ['{toy}']}}]
  - job_name: host
    metrics_path: /node
    static_configs: [{{targets: ['{toy}']}}]
  - job_name: away
    static_configs: [{{targets: ['127.0.0.1:1']}}]
"""
METRICS = """redis_up 1
redis_memory_used_bytes 950
redis_memory_max_bytes 1000
"""
THERE = ("redis_up", "requests_total", "haproxy_server_status", "node_supervisord_up")
PAGES = {
    "/edge": 'requests_total{service="gateway"} 12\n',
    "/proxy": """haproxy_server_status{proxy="shop",server="shop-1",state="UP"} 1
haproxy_server_status{proxy="shop",server="shop-2",state="UP"} 1
""",
    "/node": """node_supervisord_up{group="cache",name="sessions"} 1
node_supervisord_up{group="cache",name="other"} 1
""",
}


def exporter(handler: BaseHTTPRequestHandler) -> None:
    answer(handler, PAGES.get(handler.path, METRICS).encode(), kind="text/plain; version=0.0.4")


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(exporter) as served:
        config = CONFIG.format(toy=served.url.removeprefix("http://"))
        with prometheus_running(str(tools.find("prometheus")), tmp_path_factory.mktemp("prometheus"), config) as url:
            wait_until(lambda: len(_asked(url, "up")) == 5 and all(_asked(url, name) for name in THERE))
            yield url


def _asked(url: str, query: str) -> list[Any]:
    found: list[Any] = requests.get(f"{url}/api/v1/query", params={"query": query}, timeout=2).json()["data"]["result"]
    return found


@pytest.fixture
def admin() -> Client:
    client = Client()
    client.force_login(factories.a_user("admin", is_staff=True))
    return client


@pytest.fixture
def source(prometheus: str) -> Source:
    return Source.objects.create(name="main", url=prometheus)


def text(response: Any) -> str:
    return str(response.content.decode())


def test_an_empty_installation_begins_with_the_source_and_the_overview_leads_here(admin: Client) -> None:
    assert 'href="/first-run/"' in text(admin.get("/"))
    page = text(admin.get("/first-run/"))
    assert 'href="/first-run/source/"' in page
    assert "/services/" not in page.partition("<main")[2]


def test_an_address_is_asked_at_once_and_says_version_targets_and_freshness(admin: Client, prometheus: str) -> None:
    response = admin.post("/first-run/source/check/", {"url": prometheus})
    seen = response.context["checked"].greeting
    assert (seen.up, seen.down) == (4, 1)
    assert seen.version.count(".") == 2
    assert 0 <= seen.age_s < 10
    assert "It answers." in text(response)
    assert not Source.objects.exists()


@pytest.mark.parametrize(
    ("url", "said", "refused"),
    [
        ("http://127.0.0.1:1", "cannot reach http://127.0.0.1:1: refused; is Prometheus running there?", False),
        ("http://169.254.169.254", "169.254.169.254 is a link-local address; a source there is refused", True),
        ("ftp://prometheus:9090", "Enter a valid URL.", True),
    ],
)
def test_an_address_that_does_not_answer_says_what_to_do(admin: Client, url: str, said: str, refused: bool) -> None:
    checked = admin.post("/first-run/source/check/", {"url": url}).context["checked"]
    assert (checked.trouble, checked.refused) == (said, refused)
    assert bool(checked.test) is not refused


def test_what_was_typed_is_there_when_one_comes_back(admin: Client) -> None:
    admin.post("/first-run/source/check/", {"url": "http://127.0.0.1:1", "name": "prod", "auth": "none"})
    page = admin.get("/first-run/source/")
    assert page.context["form"]["url"].value() == "http://127.0.0.1:1"
    assert page.context["form"]["name"].value() == "prod"
    assert page.context["checked"].trouble.startswith("cannot reach")


def test_a_source_is_saved_once_it_answers_or_when_that_is_insisted_on(admin: Client, prometheus: str) -> None:
    form = {"url": "http://127.0.0.1:1", "name": "main", "auth": "none", "verify_tls": "on"}
    assert admin.post("/first-run/source/", form).status_code == 422
    assert not Source.objects.exists()
    response = admin.post("/first-run/source/", form | {"url": prometheus})
    assert response.headers["Location"] == "/first-run/main/services/"
    assert admin.post("/first-run/source/", form | {"name": "second", "anyway": "1"}).status_code == 302
    assert set(Source.objects.values_list("name", "url")) == {("main", prometheus), ("second", "http://127.0.0.1:1")}
    assert LogEntry.objects.count() == 2
    bad = form | {"url": "http://169.254.169.254", "name": "third", "anyway": "1"}
    assert admin.post("/first-run/source/", bad).status_code == 422
    assert Source.objects.count() == 2


def test_services_are_proposed_from_labels_and_made_only_when_chosen(admin: Client, source: Source) -> None:
    page = admin.get("/first-run/main/services/")
    offers = {offer.found.name: offer.found for offer in page.context["offers"]}
    assert sorted(offers) == ["away", "edge", "gateway", "host", "proxy", "sessions"]
    assert offers["sessions"].matchers == 'service="sessions"'
    assert (len(offers["sessions"].instances), offers["sessions"].up) == (1, 1)
    assert (offers["away"].matchers, offers["away"].up) == ('job="away"', 0)
    assert offers["gateway"].instances == ()
    admin.post("/first-run/main/services/", {})
    assert not Service.objects.exists()
    admin.post("/first-run/main/services/", {"service": ['service="sessions"', 'service="invented"']})
    assert list(Service.objects.values_list("name", "matchers")) == [("sessions", 'service="sessions"')]
    assert not Target.objects.exists()


def the_instance(client: Client, service: str) -> Instance:
    offers = client.get("/first-run/main/services/").context["offers"]
    (found,) = next(offer for offer in offers if offer.found.name == service).instances
    assert isinstance(found, Instance)
    return found


def filled_in(client: Client, address: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the form at an address begins with: its fields, and the parameters of the backend."""
    form = client.get(address).context["adminform"].form
    params = form.fields["params"].params.form
    return (
        {
            name: form.get_initial_for_field(form.fields[name], name)
            for name in ("service", "name", "labels", "backend")
        },
        {name: value for name in params.fields if (value := params.get_initial_for_field(params.fields[name], name))},
    )


def test_an_instance_without_a_backend_leads_to_a_form_that_knows_it(admin: Client, source: Source) -> None:
    admin.post("/first-run/main/services/", {"service": 'job="edge"'})
    instance = the_instance(admin, "edge")
    assert (instance.targets, instance.proposal) == ((), None)
    found, _params = filled_in(admin, instance.add)
    service = Service.objects.get()
    assert found["service"] == str(service.pk)
    assert found["labels"] == f"instance={instance.found.labels['instance']}"
    assert "backend: none yet" in text(admin.get("/first-run/main/services/"))


def test_a_backend_is_proposed_by_its_metric_and_fills_the_form_in(admin: Client, source: Source) -> None:
    said = text(admin.get("/first-run/main/services/"))
    assert "looks like HAProxy" in said
    assert "because <code>haproxy_server_status</code> is there" in said
    assert the_instance(admin, "proxy").add == ""  # not watched yet
    assert the_instance(admin, "host").proposal is None  # an exporter that tells of processes is none of them
    admin.post("/first-run/main/services/", {"service": ['job="proxy"', 'service="sessions"']})
    found, params = filled_in(admin, the_instance(admin, "proxy").add)
    assert (found["backend"], params["backend"]) == ("haproxy", "shop")
    found, params = filled_in(admin, the_instance(admin, "sessions").add)
    assert (found["backend"], params["process"]) == ("supervisord", "cache:sessions")
    assert not Target.objects.exists()


@pytest.mark.parametrize(
    ("name", "labels"),
    [("one", {"job": "redis"}), ("sessions", {}), ("any", {})],
    ids=["by another label than instance", "by name", "the whole service"],
)
def test_what_acts_on_an_instance_is_said_however_it_is_tied(
    admin: Client, source: Source, name: str, labels: dict[str, str]
) -> None:
    admin.post("/first-run/main/services/", {"service": 'service="sessions"'})
    service = Service.objects.get()
    Target.objects.create(service=service, name=name, backend="haproxy", labels=labels)
    Target.objects.create(service=service, name="elsewhere", backend="http", labels={"instance": "10.0.0.1:1"})
    instance = the_instance(admin, "sessions")
    assert (instance.backends, instance.names) == ("HAProxy", name)
    assert instance.proposal is None
    Target.objects.filter(service=service, name=name).update(backend="gone")
    assert the_instance(admin, "sessions").backends == "gone"


def test_what_acts_is_said_of_a_service_that_nobody_watches_too(admin: Client, source: Source) -> None:
    Target.objects.create(service=factories.a_service("shop"), name="one", backend="haproxy", labels={"job": "proxy"})
    assert the_instance(admin, "proxy").names == "one"
    assert the_instance(admin, "edge").names == ""


def test_the_number_of_queries_does_not_grow_with_the_services(admin: Client, source: Source) -> None:
    def count() -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            admin.get("/first-run/main/services/")
        return len(queries)

    count()
    before = count()
    everything = ['service="sessions"', 'service="gateway"', 'job="away"']
    admin.post("/first-run/main/services/", {"service": everything})
    admin.get("/first-run/main/services/")  # takes the message
    assert Service.objects.count() == 3
    assert count() == before


def test_only_rules_that_have_series_here_are_offered(admin: Client, source: Source) -> None:
    shelves = admin.get("/first-run/main/rules/").context["shelves"]
    names = {one.declared.name: one.series for _, found in shelves for one in found}
    assert names["RedisDown"] == 1
    assert names["RedisMemoryAlmostFull"] == 1
    assert "RedisSaveFailed" not in names
    assert not {name for name in names if name.startswith("Node")}


def test_a_rule_shows_its_verdicts_of_now_and_is_saved_in_shadow(admin: Client, source: Source) -> None:
    address = "/first-run/main/rules/redis/RedisMemoryAlmostFull/"
    preview = admin.get(address).context["preview"]
    assert preview.counts == (("bad", 1),)
    assert preview.rows[0].value == 95
    assert "95" in text(admin.get(f"{address}?piece=preview"))
    assert not Rule.objects.exists()
    assert admin.post(address, {"verb": "restart"}).headers["Location"] == "/first-run/"
    rule, playbook = Rule.objects.get(), Playbook.objects.get()
    assert (rule.name, rule.enabled, rule.managed_by, rule.version) == (
        "RedisMemoryAlmostFull",
        True,
        "library:redis",
        1,
    )
    assert (playbook.autonomy, playbook.matchers) == ("shadow", 'alertname="RedisMemoryAlmostFull"')
    assert [step.verb for step in playbook.steps.all()] == ["restart"]
    assert playbook.version == 1


def test_another_playbook_that_fits_does_not_act_on_the_first_rule(admin: Client, source: Source) -> None:
    bold = factories.a_playbook(autonomy="auto")
    bold.matchers, bold.priority = 'alertname=~"Redis.*"', 7
    bold.save()
    admin.post("/first-run/main/rules/redis/RedisDown/", {"verb": "restart"})
    page = admin.get("/first-run/main/rules/redis/RedisDown/")
    assert page.context["playbook"] != bold
    assert page.context["playbook"].autonomy == "shadow"


def test_a_rule_can_be_backtested_before_it_watches(admin: Client, source: Source) -> None:
    address = "/first-run/main/rules/redis/RedisDown/"
    response = admin.post(address, {"verb": "restart", "then": "backtest"})
    rule = Rule.objects.get()
    assert response.headers["Location"] == f"/rules/{rule.pk}/backtest/"
    assert not rule.enabled
    assert not Playbook.objects.exists()
    admin.post(address, {"verb": "restart"})
    rule.refresh_from_db()
    assert rule.enabled
    assert Playbook.objects.get().autonomy == "shadow"


def test_every_step_is_gone_on_with_where_it_was_left(admin: Client, source: Source) -> None:
    assert admin.get("/first-run/").context["following"].href == "/first-run/main/services/"
    factories.a_service("sessions")
    assert admin.get("/first-run/").context["following"].href == "/first-run/main/rules/"
    admin.post("/first-run/main/rules/redis/RedisDown/", {"verb": "restart"})
    assert admin.get("/first-run/").context["following"] is None


@pytest.mark.parametrize("role", ["viewer", "approver"])
def test_it_takes_the_rights_of_the_admin(source: Source, role: str) -> None:
    client = Client()
    client.force_login(factories.a_user(role, is_staff=role == "approver"))
    addresses = ["", "source/", "main/services/", "main/rules/", "main/rules/redis/RedisDown/"]
    for address in addresses:
        assert client.get(f"/first-run/{address}").status_code == 403, address
        assert client.post(f"/first-run/{address}").status_code == 403, address
    assert client.post("/first-run/source/check/", {"url": source.url}).status_code == 403


def test_a_source_that_is_away_is_said_on_each_step(admin: Client) -> None:
    Source.objects.create(name="gone", url="http://127.0.0.1:1")
    for address in ("services/", "rules/", "rules/redis/RedisDown/"):
        assert "cannot reach http://127.0.0.1:1" in text(admin.get(f"/first-run/gone/{address}")), address
    assert admin.get("/first-run/gone/rules/redis/Invented/").status_code == 404
