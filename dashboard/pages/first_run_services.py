"""First run, second step: the services that a source knows, of which a person chooses. Nothing is made unasked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from dashboard.pages import first_run_steps as steps
from remediation.admin.outside import client_of
from remediation.checks import plain
from remediation.models import Service, Source, Target
from remediation.observe import discovery
from remediation.observe.discovery import FoundInstance, FoundService

SHOWN = 12
"""Instances of one service that are named."""


@dataclass(frozen=True, kw_only=True)
class Instance:
    """backend: what acts on it already. add: where a target for it is made, what is known of it filled in."""

    found: FoundInstance
    backend: str
    add: str


@dataclass(frozen=True, kw_only=True)
class Offer:
    """One service that could be watched; kept: the one that there is already."""

    found: FoundService
    kept: Service | None
    instances: tuple[Instance, ...]
    chosen: bool = False

    @property
    def more(self) -> int:
        return len(self.found.instances) - len(self.instances)


def services(request: HttpRequest, name: str) -> HttpResponse:
    steps.may(request, "add_service", "add_target")
    source = get_object_or_404(Source, name=name)
    found, trouble = _discover(source)
    chosen = set(request.POST.getlist("service"))
    if request.method == "POST" and not trouble:
        wanted = [one for one in found if one.key in chosen]
        if wanted and (made := _create(request, wanted)) is not None:
            said = ngettext("%(count)d service is watched now.", "%(count)d services are watched now.", made)
            messages.success(request, said % {"count": made})
            return redirect(request.path)
        if not wanted:
            messages.warning(request, _("Nothing was chosen, so nothing was made."))
    context = {
        "page": "first-run",
        "source": source,
        "trouble": trouble,
        "offers": _offers(found, chosen),
        "steps": steps.places(source, at=2),
    }
    return render(request, "first_run/services.html", context)


def _discover(source: Source) -> tuple[list[FoundService], str]:
    """What it knows now, and why it could not be asked."""
    try:
        return discovery.services(client_of(source), now=timezone.now().timestamp()), ""
    except Exception as error:  # noqa: BLE001 - whatever the source does, the page says it
        return [], plain(error)


def _offers(found: list[FoundService], chosen: set[str]) -> list[Offer]:
    """Three queries, however many services there are."""
    kept = {one.matcher_text: one for one in Service.objects.all()}
    targets: dict[int, list[Target]] = defaultdict(list)
    for target in Target.objects.all():
        targets[target.service_id].append(target)
    return [_offer(one, kept.get(one.matchers), targets, one.key in chosen) for one in found]


def _offer(found: FoundService, kept: Service | None, targets: Mapping[int, list[Target]], chosen: bool) -> Offer:
    own = targets.get(kept.pk, []) if kept else []
    instances = tuple(_instance(one, kept, own) for one in found.instances[:SHOWN])
    return Offer(found=found, kept=kept, instances=instances, chosen=chosen)


def _instance(found: FoundInstance, kept: Service | None, targets: list[Target]) -> Instance:
    """What runs an instance is in no metric: a backend is named only where somebody has entered it, for a target whose
    labels are all the instance's, or which covers the service as a whole."""
    if kept is None:
        return Instance(found=found, backend="", add="")
    fitting = [one for one in targets if one.labels and one.labels.items() <= found.labels.items()]
    whole = [one for one in targets if not one.labels]
    backend = ", ".join(dict.fromkeys(one.backend for one in fitting or whole))
    pairs = f"instance={found.labels['instance']}" if "instance" in found.labels else ""
    known = {"service": kept.pk, "name": found.name, "role": "instance", "labels": pairs}
    return Instance(found=found, backend=backend, add=f"{reverse('admin:remediation_target_add')}?{urlencode(known)}")


def _create(request: HttpRequest, wanted: list[FoundService]) -> int | None:
    """How many were made, all or none; None when one of them cannot be."""
    there = {one.matcher_text for one in Service.objects.all()}
    new = [one for one in wanted if one.matchers not in there]
    try:
        with transaction.atomic():
            for found in new:
                row = Service(name=_free_name(found.name), title="", matchers=found.matchers)
                if row.name != found.value:
                    row.title = found.value[:200]
                row.full_clean()
                row.save()
                steps.keep(request, row)
    except ValidationError as error:
        messages.error(request, f"{found.name}: {' '.join(error.messages)}")
        return None
    return len(new)


def _free_name(wanted: str) -> str:
    taken = set(Service.objects.filter(name__startswith=wanted).values_list("name", flat=True))
    further = (f"{wanted[:95]}-{number}" for number in range(2, 1000))
    return next(name for name in (wanted, *further) if name not in taken)
