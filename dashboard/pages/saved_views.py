"""Saved views: the filter of a list under a name, for oneself or for everybody."""

from __future__ import annotations

from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import BadRequest, PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from dashboard.pages.answers import person
from remediation.models import SavedView

KEPT = {
    "incidents": ("state", "match"),
    "rules": ("state", "match"),
    "audit": ("kind", "actor", "text", "since", "until"),
}
"""Per page, what of its address is a filter: where one was in the list is not kept."""

NAME_LENGTH, QUERY_LENGTH = 60, 600
AT_MOST = 100
"""Views of one person; as many are offered on a page."""


def of(user: User, page: str) -> list[SavedView]:
    """One's own and the shared ones of a page, by name."""
    return list(SavedView.seen_by(user).filter(page=page).select_related("owner")[:AT_MOST])


def address(view: SavedView) -> str:
    return f"{reverse(view.page)}?{view.query}"


@require_POST
def save(request: HttpRequest) -> HttpResponse:
    """Keep a filter. One's own view of the same name and page becomes this one."""
    page, by = request.POST.get("page", ""), person(request)
    if page not in KEPT:
        raise BadRequest("No such list.")
    name = " ".join(request.POST.get("name", "").replace("\x00", "").split())[:NAME_LENGTH]
    query = _kept(page, request.POST.get("query", ""))
    back = redirect(f"{reverse(page)}?{query}")
    if not name:
        messages.error(request, _("A view needs a name; nothing was saved."))
        return back
    with transaction.atomic():
        if SavedView.objects.filter(owner=by).exclude(page=page, name=name).count() >= AT_MOST:
            messages.error(request, _("You have %(n)s views: delete one first.") % {"n": AT_MOST})
            return back
        values = {"query": query, "shared": "shared" in request.POST, "saved_at": timezone.now()}
        SavedView.objects.update_or_create(owner=by, page=page, name=name, defaults=values)
    messages.success(request, _("View “%(name)s” is saved.") % {"name": name})
    return back


def _kept(page: str, text: str) -> str:
    asked = QueryDict(text[: 2 * QUERY_LENGTH])
    found = [(name, asked[name].replace("\x00", "")) for name in KEPT[page] if asked.get(name)]
    query = urlencode(found)
    if len(query) > QUERY_LENGTH:
        raise BadRequest("This filter is too long to be kept.")
    return query


@require_POST
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    """One's own; staff may also take away what others share."""
    by = person(request)
    view = get_object_or_404(SavedView.seen_by(by), pk=pk)
    if view.owner_id != by.pk and not by.is_staff:
        raise PermissionDenied(gettext_lazy("Only who saved a view deletes it."))
    view.delete()
    messages.success(request, _("View “%(name)s” is deleted.") % {"name": view.name})
    return redirect(view.page)
