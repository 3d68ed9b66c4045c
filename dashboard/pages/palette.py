"""The command palette: one field that finds pages, services, incidents, rules, playbooks, saved views and actions.

Found on the server, a few of each kind, and only what this person may do. Approving is not here: no key approves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.contrib.auth.models import User
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import get_language_info
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from dashboard.context import languages
from dashboard.pages import saved_views
from dashboard.pages.answers import person
from dashboard.pages.places import places
from dashboard.pages.words import said
from remediation.models import Incident, Playbook, Rule, SavedView, Service
from remediation.states import IncidentState

EACH = 6
LENGTH = 100


@dataclass(frozen=True, kw_only=True)
class Option:
    """One line. It leads somewhere (`href`), does something in the browser (`deed`, `value`), or posts (`language`)."""

    label: str
    icon: str
    hint: str = ""
    href: str = ""
    deed: str = ""
    value: str = ""
    language: str = ""
    keys: str = ""
    tone: str = ""


@dataclass(frozen=True, kw_only=True)
class Group:
    label: str
    options: list[Option]


@require_GET
def palette(request: HttpRequest) -> HttpResponse:
    """The list below the field, for what is typed so far (`q`) on the page `here`."""
    text = " ".join(request.GET.get("q", "").replace("\x00", "").split())[:LENGTH]
    here = request.GET.get("here", "")
    back = here if url_has_allowed_host_and_scheme(here, allowed_hosts={request.get_host()}) else "/"
    by = person(request)
    found = (_pages(text, by), *_rows(text, by), _deeds(text, by))
    groups = [group for group in found if group.options]
    context = {"groups": _numbered(groups), "text": text, "back": back}
    response = render(request, "palette/_results.html", context)
    response["Cache-Control"] = "no-store"
    return response


def _numbered(groups: Iterable[Group]) -> list[tuple[str, list[tuple[int, Option]]]]:
    """Options have an id each, for the field to point at."""
    numbers = iter(range(1000))
    return [(group.label, [(next(numbers), option) for option in group.options]) for group in groups]


def _rows(text: str, by: User) -> Iterator[Group]:
    """What is in the database. Without a text: the newest open incidents and one's views."""
    if text:
        yield Group(label=_("Services"), options=_services(text))
    yield Group(label=_("Incidents"), options=_incidents(text))
    if text:
        yield Group(label=_("Rules"), options=_rules(text))
        yield Group(label=_("Playbooks"), options=_playbooks(text))
    yield Group(label=_("Views"), options=_views(text, by))


def _incidents(text: str) -> list[Option]:
    found = Incident.objects.select_related("rule", "service").order_by("-opened_at", "-pk")
    number = text.removeprefix("#")
    if number.isascii() and number.isdecimal() and len(number) < 19:
        found = found.filter(pk=int(number))
    elif text:
        about = Q(rule__name__icontains=text) | Q(service__name__icontains=text)
        about |= Q(annotations__summary__icontains=text)
        found = found.filter(about).exclude(state=IncidentState.RESOLVED)
    else:
        found = found.exclude(state=IncidentState.RESOLVED)
    return [
        Option(
            label=row.title,
            hint=f"#{row.pk}" + (f" · {row.service}" if row.service else ""),
            icon="ok" if row.state == IncidentState.RESOLVED else row.state,
            tone="ok" if row.state == IncidentState.RESOLVED else row.state,
            href=reverse("incident", args=[row.pk]),
        )
        for row in found[:EACH]
    ]


def _views(text: str, by: User) -> list[Option]:
    found = SavedView.seen_by(by).filter(name__icontains=text, page__in=saved_views.KEPT)
    words = {place.name: str(place.label) for place in places()}
    return [
        Option(label=view.name, hint=words.get(view.page, view.page), icon="view", href=saved_views.address(view))
        for view in found[:EACH]
    ]


def _services(text: str) -> list[Option]:
    found = Service.objects.filter(Q(name__icontains=text) | Q(title__icontains=text) | Q(team__icontains=text))
    return [
        Option(label=str(row), hint=row.team, icon="overview", href=reverse("service", args=[row.name]))
        for row in found.only("name", "title", "team")[:EACH]
    ]


def _rules(text: str) -> list[Option]:
    found = Rule.objects.filter(Q(name__icontains=text) | Q(service__name__icontains=text)).order_by("name")
    return [
        Option(label=row.name, hint=said(row.severity), icon="rules", href=reverse("rule", args=[row.pk]))
        for row in found.only("name", "severity")[:EACH]
    ]


def _playbooks(text: str) -> list[Option]:
    found = Playbook.objects.filter(Q(name__icontains=text) | Q(description__icontains=text))
    return [
        Option(label=row.name, hint=said(row.autonomy), icon="playbooks", href=reverse("playbook", args=[row.pk]))
        for row in found.only("name", "autonomy", "autonomy_since")[:EACH]
    ]


def _pages(text: str, by: User) -> Group:
    found = [
        Option(label=str(place.label), icon=place.icon, href=place.href, keys=f"g {place.key}") for place in places()
    ]
    if by.is_staff:
        found.append(Option(label=_("Configure"), icon="edit", href=reverse("admin:index")))
    return Group(label=_("Pages"), options=_named(text, found))


def _deeds(text: str, by: User) -> Group:
    return Group(label=_("Actions"), options=_named(text, [*_actions(by), *_looks()]))


def _actions(by: User) -> Iterator[Option]:
    if by.has_perm("remediation.operate"):
        hint = _("leads to the form")
        yield Option(label=_("Freeze automation, or let it run again…"), hint=hint, icon="frozen", deed="automation")
    if by.has_perm("remediation.add_rule"):
        yield Option(label=_("Add a rule"), icon="edit", href=reverse("admin:remediation_rule_add"))
    yield Option(label=_("Keyboard help"), icon="note", deed="help", keys="?")


def _looks() -> Iterator[Option]:
    for value, label in (("", _("Theme: system")), ("light", _("Theme: light")), ("dark", _("Theme: dark"))):
        yield Option(label=label, icon="theme", deed="theme", value=value)
    for code, name in languages():
        local = get_language_info(code)["name_local"]
        yield Option(label=_("Language: %(name)s") % {"name": local}, hint=str(name), icon="note", language=code)


def _named(text: str, options: Iterable[Option]) -> list[Option]:
    """Those in whose words all that was typed occurs."""
    parts = text.casefold().split()
    return [one for one in options if all(part in f"{one.label} {one.hint}".casefold() for part in parts)]
