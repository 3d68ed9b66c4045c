"""The library by click: what its parts need, what a source has of that, what installing would do, and doing it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy

from remediation.admin.outside import client_of
from remediation.checks import plain
from remediation.exceptions import HomeostatError
from remediation.models import Rule, Source
from remediation.rules import installing, plan, ready, showing
from remediation.rules.installing import Installation
from remediation.rules.names import Names
from remediation.rules.plan import Terms
from remediation.rules.ready import Shelf
from remediation.series import digest
from remediation.signals import edited

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

    Admin = ModelAdmin[Any]
else:
    Admin = object


@dataclass(frozen=True, kw_only=True)
class Offer:
    """One part of the library for one source. has, lacks: of the metrics that its rules ask for; both empty when the
    source did not answer."""

    shelf: Shelf
    count: int
    has: list[str]
    lacks: list[str]
    installation: Installation

    @property
    def text(self) -> str:
        return showing.as_text(self.installation.plan)

    @property
    def summary(self) -> str:
        """As showing.summary has it for the terminal, in the reader's language."""
        plan = self.installation.plan
        said = (gettext("%(n)d to add"), plan.count("add")), (gettext("%(n)d to change"), plan.count("change"))
        parts = [words % {"n": count} for words, count in said if count] or [gettext("nothing to do")]
        return gettext("%(parts)s; %(n)d unchanged.") % {"parts": ", ".join(parts), "n": plan.unchanged}

    @property
    def seen(self) -> str:
        """Names the plan that a person agrees to."""
        return digest(self.text)

    @property
    def kept(self) -> int:
        return self.installation.plan.unchanged


class ShelvesAdmin(Admin):
    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.library_view)
        return [path("library/", view, name="remediation_rule_library"), *super().get_urls()]

    def library_view(self, request: HttpRequest) -> HttpResponse:
        if not (self.has_add_permission(request) and self.has_change_permission(request)):
            raise PermissionDenied
        sources = list(Source.objects.order_by("name"))
        wanted = request.POST.get("source") or request.GET.get("source")
        source = next((one for one in sources if one.name == wanted), sources[0] if sources else None)
        if request.method == "POST" and source is not None:
            self._install(request, source)
            return HttpResponseRedirect(f"{request.path}?source={source.name}")
        offers, trouble = _offers(source) if source else ([], "")
        context = {
            **self.admin_site.each_context(request),
            "title": gettext_lazy("Ready rules"),
            "opts": self.opts,
            "sources": sources,
            "source": source,
            "offers": offers,
            "trouble": trouble,
        }
        return render(request, "admin/remediation/rule/library.html", context)

    def _install(self, request: HttpRequest, source: Source) -> None:
        enabled, by = request.POST.get("enabled") == "on", request.user.get_username()
        try:
            shelf = ready.find(request.POST.get("shelf", ""))
            # Plans are compared as they were shown; whether new rules are enabled is asked on the same page.
            shown = installing.prepare(shelf, Terms(source=source.name), leave_out=True)
            if digest(showing.as_text(shown.plan)) != request.POST.get("seen"):
                messages.warning(request, gettext_lazy("The rules were changed meanwhile: look at the new plan."))
                return
            mine = installing.prepare(shelf, Terms(source=source.name), enabled=enabled, leave_out=True)
            author = f"{by}, {mine.terms.owner}"[:150]
            with transaction.atomic():
                plan.carry_out(mine.found, mine.plan, mine.terms, author=author, now=timezone.now())
                transaction.on_commit(lambda: edited.send(Rule, model="rule") and None)
        except HomeostatError as error:
            messages.error(request, str(error))
            return
        messages.success(request, _done(mine, enabled=enabled))


def _done(mine: Installation, *, enabled: bool) -> str:
    added, changed = mine.plan.count("add"), mine.plan.count("change")
    on, off = gettext("%(n)d added, enabled"), gettext("%(n)d added, disabled until you enable them")
    parts = [(on if enabled else off) % {"n": added}] if added else []
    parts += [gettext("%(n)d updated") % {"n": changed}] if changed else []
    done = gettext(" and ").join(parts) or gettext("nothing to do")
    said = gettext("%(owner)s on %(source)s: %(done)s.")
    return said % {"owner": mine.terms.owner, "source": mine.terms.source, "done": done}


def _offers(source: Source) -> tuple[list[Offer], str]:
    """What there is, best fitting first; and why the source could not be asked."""
    there: set[str] | None = None
    trouble = ""
    try:
        there = set(Names(client_of(source), now=timezone.now().timestamp()).metrics())
    except Exception as error:  # noqa: BLE001 - whatever the source does, the library can be looked at
        trouble = plain(error)
    offers = [_offer(shelf, source, there) for shelf in ready.shelves()]
    return sorted(offers, key=lambda offer: -len(offer.has) / max(len(offer.has) + len(offer.lacks), 1)), trouble


def _offer(shelf: Shelf, source: Source, there: set[str] | None) -> Offer:
    asked = installing.metrics_of(shelf)
    return Offer(
        shelf=shelf,
        count=len(shelf.rules()),
        has=[] if there is None else [name for name in asked if name in there],
        lacks=[] if there is None else [name for name in asked if name not in there],
        installation=installing.prepare(shelf, Terms(source=source.name), leave_out=True),
    )
