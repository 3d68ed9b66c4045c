"""Sources, tokens, services and targets in the admin."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client

from remediation.models import IngestToken, Service, Source, Target
from tests.remediation.admin.conftest import errors, told

pytestmark = pytest.mark.django_db

SOURCE = "/admin/remediation/source/add/"
TARGET = "/admin/remediation/target/add/"


def source_form(url: str, **fields: Any) -> dict[str, Any]:
    return {
        "name": "main",
        "url": url,
        "alertmanager_url": "",
        "enabled": "on",
        "auth": "none",
        "username": "",
        "secret_ref": "",
        "verify_tls": "on",
        "timeout_s": "10",
        "stale_after_s": "60",
        "pull_alerts_s": "15",
    } | fields


def target_form(service: Service, backend: str = "supervisord", **fields: Any) -> dict[str, Any]:
    params = {"url": "http://127.0.0.1:1", "process": "shop:app", "minimum": "1"} if backend == "supervisord" else {}
    return {
        "service": service.pk,
        "name": "app-1",
        "role": "instance",
        "enabled": "on",
        "backend": backend,
        "params-of": backend,
        "labels": "instance=a:80",
        **{f"params-{name}": value for name, value in params.items()},
    } | fields


def said(response: Any) -> dict[str, list[str]]:
    form = response.context["adminform"].form
    return {name: list(texts) for name, texts in form.errors.items()}


def test_source_that_answers_is_stored_and_said_so(admin: Client, prometheus_url: str) -> None:
    response = admin.post(SOURCE, source_form(prometheus_url), follow=True)
    assert any(text.startswith("main answers, in ") for text in told(response))
    assert Source.objects.get().url == prometheus_url


def test_source_that_is_away_is_stored_with_a_warning(admin: Client) -> None:
    response = admin.post(SOURCE, source_form("http://127.0.0.1:1"), follow=True)
    assert told(response)[0].startswith("main could not be asked: ")
    assert Source.objects.exists()


@pytest.mark.parametrize(
    "url",
    ["ftp://x", "file:///etc/passwd", "http://169.254.169.254/", "http://user:pw@127.0.0.1:9090", "not an address"],
)
def test_address_that_is_never_asked_is_said_at_url(admin: Client, url: str) -> None:
    assert list(said(admin.post(SOURCE, source_form(url)))) == ["url"]


def test_source_that_is_homeostat_itself_is_said_at_url(admin: Client, settings: Any) -> None:
    response = admin.post(SOURCE, source_form(f"http://127.0.0.1:{settings.HOMEOSTAT_PORT}"))
    assert "Homeostat" in said(response)["url"][0]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"auth": "bearer", "secret_ref": ""}, "secret_ref"),
        ({"auth": "bearer", "secret_ref": "hunter2"}, "secret_ref"),
        ({"auth": "basic", "secret_ref": "env:X"}, "username"),
    ],
)
def test_wrong_access_is_said_at_its_field(admin: Client, fields: dict[str, str], field: str) -> None:
    assert list(said(admin.post(SOURCE, source_form("http://127.0.0.1:1", **fields)))) == [field]


def test_missing_secret_is_a_warning_and_a_found_one_is_never_shown(
    admin: Client, prometheus_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = {"auth": "bearer", "secret_ref": "env:SHOP_TOKEN"}
    response = admin.post(SOURCE, source_form(prometheus_url, **fields), follow=True)
    assert "env:SHOP_TOKEN" in told(response)[0]
    monkeypatch.setenv("SHOP_TOKEN", "hunter2")
    page = f"/admin/remediation/source/{Source.objects.get().pk}/change/"
    response = admin.post(page, source_form(prometheus_url, **fields), follow=True)
    assert [b"hunter2" in answer.content for answer in (response, admin.get(page))] == [False, False]


def test_token_is_shown_once_and_only_its_hash_is_stored(admin: Client, source: Source) -> None:
    fields = {"source": source.pk, "name": "am", "expires_at_0": "", "expires_at_1": ""}
    response = admin.post("/admin/remediation/ingesttoken/add/", fields, follow=True)
    row = IngestToken.objects.get()
    token = told(response)[0].split("<code>")[1].split("</code>")[0]
    assert IngestToken.find(token, now=datetime.now(UTC)) == row
    page = admin.get(f"/admin/remediation/ingesttoken/{row.pk}/change/").content.decode()
    assert (token in page, row.hash in page, token in str(vars(row))) == (False, False, False)


def test_token_is_revoked(admin: Client, source: Source) -> None:
    row, token = IngestToken.issue(source, "am")
    fields = {
        "name": "am",
        "expires_at_0": "",
        "expires_at_1": "",
        "revoked_at_0": "2026-01-01",
        "revoked_at_1": "12:00:00",
    }
    admin.post(f"/admin/remediation/ingesttoken/{row.pk}/change/", fields)
    assert IngestToken.find(token, now=datetime.now(UTC)) is None


def test_service_is_stored_and_shows_its_counts(admin: Client, cart: Service) -> None:
    fields = {"name": "web", "title": "", "team": "", "description": "", "matchers": 'job="web"', "runbook_url": ""}
    admin.post("/admin/remediation/service/add/", fields | {"depends_on": [cart.pk]})
    assert [str(item) for item in Service.objects.get(name="web").depends_on.all()] == ["cart"]
    assert admin.get("/admin/remediation/service/").status_code == 200


def test_target_is_stored_with_a_warning_when_its_runtime_is_away(admin: Client, cart: Service) -> None:
    response = admin.post(TARGET, target_form(cart), follow=True)
    row = Target.objects.get()
    assert (row.params, row.labels) == (
        {"url": "http://127.0.0.1:1", "process": "shop:app"},
        {"instance": "a:80"},
    )
    assert told(response)[0].startswith("app-1 cannot be acted on as it stands: ")


def test_wrong_parameters_of_a_backend_are_said_at_their_fields(admin: Client, cart: Service) -> None:
    fields = {"params-url": "nonsense", "params-secret_ref": "hunter2"}
    found = errors(admin.post(TARGET, target_form(cart, **fields)))
    assert found["params.url"] == ["This is not written as it must be."]
    assert found["params.secret_ref"] == ["This is not written as it must be."]


def test_lists_and_maps_are_typed_as_lines(admin: Client, cart: Service) -> None:
    fields = {
        "params-url": "http://127.0.0.1:1/hook",
        "params-method": "POST",
        "params-content_type": "application/json",
        "params-expect_status": "200, 204",
        "params-timeout_s": "5",
        "params-headers": "X-Team=shop\nX-Number=5",
    }
    admin.post(TARGET, target_form(cart, "http", **fields))
    params = Target.objects.get().params
    assert (params["expect_status"], params["headers"]) == ([200, 204], {"X-Team": "shop", "X-Number": "5"})
    page = admin.get(f"/admin/remediation/target/{Target.objects.get().pk}/change/").content.decode()
    assert ("200, 204" in page, "X-Team=shop\nX-Number=5" in page) == (True, True)


def test_target_that_is_homeostat_itself_is_refused(admin: Client, cart: Service, settings: Any) -> None:
    fields = {
        "params-url": f"http://127.0.0.1:{settings.HOMEOSTAT_PORT}/hook",
        "params-method": "POST",
        "params-content_type": "application/json",
        "params-expect_status": "200",
        "params-timeout_s": "5",
    }
    response = admin.post(TARGET, target_form(cart, "http", **fields))
    assert "Homeostat" in said(response)["__all__"][0]
    assert not Target.objects.exists()


def test_missing_secret_of_a_target_is_a_warning(admin: Client, cart: Service) -> None:
    response = admin.post(TARGET, target_form(cart, **{"params-secret_ref": "env:NOT_THERE"}), follow=True)
    assert any("env:NOT_THERE" in text for text in told(response))


def test_backend_that_is_gone_shows_as_such(admin: Client, cart: Service) -> None:
    row = Target.objects.create(service=cart, name="old", backend="mainframe", params={"lpar": 1})
    text = admin.get(f"/admin/remediation/target/{row.pk}/change/").content.decode()
    assert ("mainframe (not installed)" in text, "lpar" in text) == (True, True)
