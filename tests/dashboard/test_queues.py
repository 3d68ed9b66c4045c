"""System says how much waits in each queue, and that it is unknown where the broker is away."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis
from django.conf import settings
from django.test import Client
from pytest_django.fixtures import Settings

from dashboard.pages import queues
from tests.dashboard import factories
from tests.dashboard.test_live_broker import Server, server

pytestmark = pytest.mark.django_db
__all__ = ["server"]


def shown(client: Client) -> str:
    client.force_login(factories.a_user("viewer"))
    return str(client.get("/live/fragments/?key=queues").json()["fragments"][0]["html"])


def test_without_a_broker_what_waits_is_unknown(client: Client, settings: Settings, tmp_path: Path) -> None:
    settings.HOMEOSTAT_REDIS_URL = f"unix://{tmp_path}/nothing.sock"
    html = shown(client)
    assert "what waits there is unknown" in html
    assert "<table" not in html


@pytest.mark.real
def test_what_waits_is_counted_where_it_waits(client: Client, server: Server, settings: Settings) -> None:
    settings.HOMEOSTAT_REDIS_URL = server.url
    broker = redis.Redis.from_url(server.url)
    broker.lpush("act", "one", "two")
    broker.close()
    assert queues.waiting(("evaluate", "act")) == {"evaluate": 0, "act": 2}
    assert '<td class="num">2</td>' in shown(client)


def test_each_queue_of_the_settings_is_counted() -> None:
    routed = {str(route["queue"]) for route in settings.CELERY_TASK_ROUTES.values()}
    assert set(queues.PURPOSES) == routed | {settings.CELERY_TASK_DEFAULT_QUEUE}
