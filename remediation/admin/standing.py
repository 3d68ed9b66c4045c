"""How each rule of the list does: its state, and how often it called in vain. Columns and filters of one query."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Case, Count, Exists, F, FloatField, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Cast, Coalesce, NullIf
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import format_lazy
from django.utils.translation import gettext, gettext_lazy

from remediation.admin.managed import origin
from remediation.models import Incident, Remediation, Rule
from remediation.rules.installing import OWNER
from remediation.states import IncidentState

if TYPE_CHECKING:
    Admin = admin.ModelAdmin[Any]
    Filter = admin.SimpleListFilter
else:
    Admin = object
    Filter = admin.SimpleListFilter

NOISE_OF = timedelta(days=7)
MUCH = 7
"""More than one a day."""
STATES = {
    "firing": (gettext_lazy("▲ firing"), "hs-tone-bad"),
    "pending": (gettext_lazy("◔ pending"), "hs-tone-pending"),
    "erring": (gettext_lazy("! erring"), "hs-tone-bad"),
    "unknown": (gettext_lazy("? unknown"), "hs-tone-unknown"),
    "waiting": (gettext_lazy("… not evaluated yet"), ""),
    "well": (gettext_lazy("● well"), "hs-tone-ok"),
    "disabled": (gettext_lazy("○ disabled"), ""),
}
"""In words with a shape, so that colour is not all that tells them apart."""


def with_standing(rules: QuerySet[Rule], *, now: datetime) -> QuerySet[Any]:
    """Adds standing; called: how many incidents fired in the last week; ended: how many of them are over; alone: how
    many of those ended without an effect and without anybody who acknowledged them."""
    mine = Incident.objects.filter(rule=OuterRef("pk")).order_by()
    fired = mine.filter(fired_at__gte=now - NOISE_OF)
    ended = fired.filter(state=IncidentState.RESOLVED)
    acted = Remediation.objects.filter(incident=OuterRef("pk"), effect_started_at__isnull=False)
    alone = ended.filter(~Exists(acted), acknowledged_at=None)
    standing = Case(
        When(enabled=False, then=Value("disabled")),
        When(Exists(mine.filter(state=IncidentState.FIRING)), then=Value("firing")),
        When(Exists(mine.filter(state=IncidentState.PENDING)), then=Value("pending")),
        When(Q(status__error__gt=""), then=Value("erring")),
        When(Q(status__unknown__gt=0), then=Value("unknown")),
        When(status__evaluated_at=None, then=Value("waiting")),
        default=Value("well"),
    )
    counts = {"called": _count(fired), "ended": _count(ended), "alone": _count(alone)}
    return rules.annotate(standing=standing, **counts)


def _count(rows: QuerySet[Incident]) -> Any:
    return Coalesce(Subquery(rows.values("rule").annotate(total=Count("pk")).values("total")), 0)


class StandingAdmin(Admin):
    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return with_standing(super().get_queryset(request), now=timezone.now())

    @admin.display(description=gettext_lazy("state"), ordering="standing")
    def state(self, row: Any) -> SafeString:
        words, tone = STATES[row.standing]
        return format_html('<span class="font-medium whitespace-nowrap {}">{}</span>', tone, words)

    @admin.display(description=gettext_lazy("noise, 7 days"), ordering="called")
    def noise(self, row: Any) -> str:
        if not row.called:
            return gettext("none")
        if not row.ended:
            return str(row.called)
        said = gettext("%(n)d, %(share)d %% by themselves")
        return said % {"n": row.called, "share": round(100 * row.alone / row.ended)}

    @admin.display(description=gettext_lazy("series"), ordering="status__series")
    def series(self, row: Rule) -> str:
        """How many, and how many of them are not well."""
        status = getattr(row, "status", None)
        if status is None:
            return ""
        said = ((gettext("%(n)d bad"), status.bad), (gettext("%(n)d unknown"), status.unknown))
        parts = [text % {"n": number} for text, number in said if number]
        shown = gettext("%(parts)s of %(all)d") % {"parts": ", ".join(parts), "all": status.series}
        return shown if parts else str(status.series)

    @admin.display(description=gettext_lazy("evaluated"), ordering="status__evaluated_at")
    def evaluated(self, row: Rule) -> str:
        at = getattr(getattr(row, "status", None), "evaluated_at", None)
        return _ago((timezone.now() - at).total_seconds()) if at else gettext("never")

    @admin.display(description=gettext_lazy("from"), ordering="managed_by")
    def managed(self, row: Rule) -> str:
        return origin(row.managed_by) or gettext("by hand")


def _ago(seconds: float) -> str:
    units = ((gettext("%(n)d d ago"), 86400), (gettext("%(n)d h ago"), 3600), (gettext("%(n)d min ago"), 60))
    for said, size in units:
        if seconds >= 2 * size:
            return said % {"n": seconds // size}
    return gettext("%(n)d s ago") % {"n": max(seconds, 0)}


class _Filter(Filter):
    choices_shown: Sequence[tuple[str, str | Promise]] = ()

    def lookups(self, request: HttpRequest, model_admin: Any) -> Sequence[tuple[str, str]]:
        return [(name, str(words)) for name, words in self.choices_shown]


class StateFilter(_Filter):
    title, parameter_name = gettext_lazy("state"), "state"
    choices_shown = [(name, words) for name, (words, _tone) in STATES.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(standing=self.value()) if self.value() in STATES else queryset


class NoiseFilter(_Filter):
    title, parameter_name = gettext_lazy("noise: fired in 7 days"), "noise"
    choices_shown = [
        ("none", gettext_lazy("never")),
        ("some", format_lazy(gettext_lazy("1 to {n} times"), n=MUCH)),
        ("much", format_lazy(gettext_lazy("more than {n} times"), n=MUCH)),
    ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        found = {"none": Q(called=0), "some": Q(called__range=(1, MUCH)), "much": Q(called__gt=MUCH)}
        return queryset.filter(found[str(self.value())]) if self.value() in found else queryset


class AloneFilter(_Filter):
    """False alarms, as far as the record can tell: nothing was done and nobody took it up."""

    title, parameter_name = gettext_lazy("ended by themselves"), "alone"
    choices_shown = [("most", gettext_lazy("half or more of them")), ("few", gettext_lazy("fewer than half"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in ("most", "few"):
            return queryset
        share = Cast(F("alone"), FloatField()) / NullIf(Cast(F("ended"), FloatField()), Value(0.0))
        found: QuerySet[Any] = queryset.annotate(share=share)
        return found.filter(share__gte=0.5) if self.value() == "most" else found.filter(share__lt=0.5)


class ManagedFilter(_Filter):
    title, parameter_name = gettext_lazy("managed by"), "managed"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Sequence[tuple[str, str]]:
        owners = Rule.objects.exclude(managed_by="").order_by("managed_by").values_list("managed_by", flat=True)
        found = [("hand", gettext("hand")), ("library", gettext("the library")), ("files", gettext("rule files"))]
        return found + [(f"={owner}", owner) for owner in owners.distinct()[:30]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        wanted = str(self.value() or "")
        library = Q(managed_by__startswith=OWNER)
        found = {"hand": Q(managed_by=""), "library": library, "files": ~library & ~Q(managed_by="")}
        if wanted.startswith("="):
            return queryset.filter(managed_by=wanted[1:])
        return queryset.filter(found[wanted]) if wanted in found else queryset
