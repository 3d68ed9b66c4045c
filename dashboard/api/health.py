"""Whether this process lives, and whether it can do its work; for load balancers and for the command that starts us."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache

import redis
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from remediation import conf
from remediation.models import Heartbeat


class NotReady(Exception):
    """Why it cannot work now. The text goes out to anybody who asks: no address, no secret."""


@require_safe
@login_not_required  # asked by load balancers
@never_cache
def healthy(request: HttpRequest) -> HttpResponse:
    return HttpResponse("Homeostat is healthy.\n", content_type="text/plain; charset=utf-8")


@require_safe
@login_not_required  # asked by load balancers
@never_cache
def ready(request: HttpRequest) -> HttpResponse:
    """200 when all checks pass, 503 with the reasons otherwise."""
    reasons: dict[str, str] = {}
    for name, check in CHECKS.items():
        try:
            check()
        except NotReady as reason:
            reasons[name] = str(reason)
        except Exception as error:  # noqa: BLE001 - whatever it is, the answer is "not ready", never a 500
            reasons[name] = f"does not answer ({type(error).__name__})"
    return JsonResponse({"ready": not reasons, "reasons": reasons}, status=503 if reasons else 200)


def stalled(*, now: datetime) -> list[str]:
    """The stages whose sign of life is overdue."""
    return [beat.stage for beat in Heartbeat.objects.order_by("stage") if beat.is_stalled(now)]


def _database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    _migrated()


@cache  # a database that was migrated stays so while this process lives; exceptions are not cached
def _migrated() -> None:
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise NotReady("migrations are missing: run manage.py migrate")


def _broker() -> None:
    client = redis.Redis.from_url(settings.HOMEOSTAT_REDIS_URL, socket_connect_timeout=1, socket_timeout=1)
    try:
        client.ping()
    finally:
        client.close()


def _disk() -> None:
    home = settings.HOMEOSTAT_HOME
    if shutil.disk_usage(home).free < conf.FREE_BYTES:
        raise NotReady("the disk is full")
    with tempfile.TemporaryFile(dir=home) as file:
        file.write(b"\0" * 4096)
        file.flush()


def _stages() -> None:
    late = stalled(now=datetime.now(UTC))
    if late:
        raise NotReady(f"no sign of life from: {', '.join(late)}")


CHECKS: dict[str, Callable[[], None]] = {
    "database": _database,
    "broker": _broker,
    "disk": _disk,
    "stages": _stages,
}
