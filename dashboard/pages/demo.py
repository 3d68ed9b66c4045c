"""Break something: the demo's own page. It does not exist where the demo does not run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext
from django.views.decorators.http import require_POST

from dashboard.live import publish
from dashboard.live.fragments import Context, fragment
from dashboard.pages import rows
from remediation.models import Incident

if TYPE_CHECKING:
    from deploy.demo.config import DemoConfig
    from deploy.demo.faults import Active, Fault

RECENT = 8


@dataclass(frozen=True, kw_only=True)
class FaultRow:
    fault: Fault
    since: datetime | None
    until: datetime | None


def demo(request: HttpRequest) -> HttpResponse:
    _only_in_the_demo()
    return render(request, "demo/index.html", {"page": "demo"})


@fragment("demo-faults", "demo/_faults.html", topics=("demo",), every_s=2)
def faults(_: str) -> Context | None:
    if not settings.HOMEOSTAT_DEMO:
        return None
    from deploy.demo import faults as shop  # noqa: PLC0415 - the demo's code is loaded in the demo only

    try:
        found, trouble = {one.fault.name: one for one in shop.active(_config())}, ""
    except Exception as error:  # noqa: BLE001 - the shop is a pile of processes: whatever fails there, the page says it
        missing = isinstance(error, FileNotFoundError)
        found, trouble = (
            {},
            gettext("It has never been started here.") if missing else f"{type(error).__name__}: {error}",
        )
    return {
        "faults": [_row(fault, found.get(fault.name)) for fault in shop.list_faults()],
        "trouble": trouble,
        "active": len(found),
    }


def _row(fault: Fault, active: Active | None) -> FaultRow:
    since = datetime.fromtimestamp(active.since, UTC) if active else None
    until = datetime.fromtimestamp(active.until, UTC) if active and active.until else None
    return FaultRow(fault=fault, since=since, until=until)


@fragment("demo-incidents", "demo/_incidents.html", topics=("incident", "remediation"), every_s=2)
def incidents(_: str) -> Context | None:
    """What came of it."""
    if not settings.HOMEOSTAT_DEMO:
        return None
    return {"rows": rows.table(rows.with_repair(Incident.objects.order_by("-opened_at"))[:RECENT])}


@require_POST
@permission_required("remediation.operate", raise_exception=True)
def break_(request: HttpRequest, name: str) -> HttpResponse:
    _only_in_the_demo()
    from deploy.demo import faults as shop  # noqa: PLC0415 - the demo's code is loaded in the demo only

    try:
        active = shop.break_(name, _config())
    except shop.UnknownFaultError as error:
        raise Http404(str(error)) from error
    except Exception as error:  # noqa: BLE001 - a page that says what failed, rather than a 500
        messages.error(request, gettext("It could not be broken: %(error)s") % {"error": error})
    else:
        publish.announce("demo", 0)
        fault = active.fault
        done = gettext("Done at %(time)s.") % {"time": timezone.now().strftime("%H:%M:%S UTC")}
        told = f"{gettext(fault.title)}: {gettext(fault.what)} {done} {gettext(fault.expect)}"
        messages.success(request, told)
    return redirect("demo")


@require_POST
@permission_required("remediation.operate", raise_exception=True)
def mend(request: HttpRequest) -> HttpResponse:
    """Undo one fault (`name`) or everything."""
    _only_in_the_demo()
    from deploy.demo import faults as shop  # noqa: PLC0415 - the demo's code is loaded in the demo only

    try:
        mended = shop.mend(request.POST.get("name") or None, _config())
    except shop.UnknownFaultError as error:
        raise Http404(str(error)) from error
    except Exception as error:  # noqa: BLE001 - a page that says what failed, rather than a 500
        messages.error(request, gettext("It could not be mended: %(error)s") % {"error": error})
    else:
        publish.announce("demo", 0)
        one = gettext("Mended: %(names)s.") % {"names": ", ".join(mended)}
        messages.success(request, gettext("Everything is mended.") if len(mended) > 1 else one)
    return redirect("demo")


def _only_in_the_demo() -> None:
    if not settings.HOMEOSTAT_DEMO:
        raise Http404("There is no demo here.")


def _config() -> DemoConfig:
    from deploy.demo.config import DemoConfig  # noqa: PLC0415 - the demo's code is loaded in the demo only

    return DemoConfig.load(settings.HOMEOSTAT_HOME / "demo" / "demo.json")
