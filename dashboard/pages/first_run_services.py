"""First run, second step: the services that a source knows, of which a person chooses. Nothing is made unasked."""

from __future__ import annotations

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

from dashboard.pages import first_run_backends
from dashboard.pages import first_run_steps as steps
from dashboard.pages.first_run_backends import Clues, Proposal
from remediation import registry
from remediation.admin.outside import client_of
from remediation.checks import plain
from remediation.models import Service, Source, Target
from remediation.observe import discovery
from remediation.observe.discovery import FoundInstance, FoundService

SHOWN = 12
"""Instances of one service that are named."""


@dataclass(frozen=True, kw_only=True)
class Instance:
    """targets: what acts on it already. add: where one is made, what is known of it filled in. proposal: the backend
    that it looks like, where nothing acts on it."""

    found: FoundInstance
    targets: tuple[Target, ...] = ()
    add: str = ""
    proposal: Proposal | None = None

    @property
    def backends(self) -> str:
        """Their labels, each once; a backend that is not installed any more by its name."""
        known = registry.backends()
        names = dict.fromkeys(one.backend for one in self.targets)
        return ", ".join(_(known[name].label) if name in known else name for name in names)

    @property
    def names(self) -> str:
        return ", ".join(one.name for one in self.targets)


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
    found, clues, trouble = _discover(source)
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
        "offers": _offers(found, clues, chosen),
        "steps": steps.places(source, at=2),
    }
    return render(request, "first_run/services.html", context)


def _discover(source: Source) -> tuple[list[FoundService], Clues, str]:
    """What it knows now, what that looks like, and why it could not be asked."""
    now = timezone.now().timestamp()
    try:
        client = client_of(source)
        return discovery.services(client, now=now), first_run_backends.look(client, now=now), ""
    except Exception as error:  # noqa: BLE001 - whatever the source does, the page says it
        return [], Clues(), plain(error)


def _offers(found: list[FoundService], clues: Clues, chosen: set[str]) -> list[Offer]:
    """Three queries, however many services there are."""
    kept = {one.matcher_text: one for one in Service.objects.all()}
    targets = list(Target.objects.all())
    return [_offer(one, kept.get(one.matchers), targets, clues, one.key in chosen) for one in found]


def _offer(found: FoundService, kept: Service | None, targets: list[Target], clues: Clues, chosen: bool) -> Offer:
    instances = tuple(_instance(one, kept, targets, clues) for one in found.instances[:SHOWN])
    return Offer(found=found, kept=kept, instances=instances, chosen=chosen)


def _instance(found: FoundInstance, kept: Service | None, targets: list[Target], clues: Clues) -> Instance:
    """What acts on it is known where somebody has entered it; otherwise what it looks like is proposed."""
    if acting := _acting(found, kept, targets):
        return Instance(found=found, targets=tuple(acting))
    proposal = clues.about(found)
    return Instance(found=found, proposal=proposal, add=_add(found, kept, proposal) if kept else "")


def _acting(found: FoundInstance, kept: Service | None, targets: list[Target]) -> list[Target]:
    """Targets whose labels are all the instance's, whatever their service; or else one of its own service that is
    called as the instance is, or those that cover its service as a whole."""
    own = [one for one in targets if kept is not None and one.service_id == kept.pk]
    called = {found.name, *(found.labels[name] for name in first_run_backends.CALLED if name in found.labels)}
    whole = [one for one in own if not one.labels]
    return (
        [one for one in targets if one.labels and one.labels.items() <= found.labels.items()]
        or [one for one in whole if one.name in called]
        or whole
    )


def _add(found: FoundInstance, kept: Service, proposal: Proposal | None) -> str:
    pairs = f"instance={found.labels['instance']}" if "instance" in found.labels else ""
    known = {"service": str(kept.pk), "name": found.name, "role": "instance", "labels": pairs}
    if proposal:
        known |= {"backend": proposal.backend} | {f"params-{name}": text for name, text in proposal.params.items()}
    return f"{reverse('admin:remediation_target_add')}?{urlencode(known)}"


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
