"""What the steps of the first run share: where one stands, who may, and the record of what was made."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.core.exceptions import PermissionDenied
from django.db import models, transaction
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from dashboard.pages.answers import person
from remediation.models import Rule, Service, Source
from remediation.signals import edited


@dataclass(frozen=True, kw_only=True)
class Place:
    """One step. href: empty while it cannot be gone to. kind: the shape that says how far it is. open: it is shown."""

    number: int
    title: str
    said: str
    href: str
    done: bool
    open: bool = False

    @property
    def kind(self) -> str:
        return "ok" if self.done else "pending" if self.href else "off"


def places(source: Source | None, *, at: int = 0) -> list[Place]:
    """The three steps as the database has them: it alone knows what is done, so that any of them can be left."""
    source = source or Source.objects.filter(enabled=True).order_by("pk").first()
    watched = Service.objects.count()
    rules = Rule.objects.filter(source=source).count() if source else 0
    found = [
        (_("Add a source"), source.name if source else _("none yet"), reverse("first-run-source"), source is not None),
        (
            _("Discover services and targets"),
            _("%(count)d known") % {"count": watched} if watched else _("none yet"),
            reverse("first-run-services", args=[source.name]) if source else "",
            watched > 0,
        ),
        (
            _("First rule in shadow"),
            _("%(count)d here") % {"count": rules} if rules else _("none yet"),
            reverse("first-run-rules", args=[source.name]) if source else "",
            rules > 0,
        ),
    ]
    return [
        Place(number=number, title=title, said=said, href=href, done=done, open=number == at)
        for number, (title, said, href, done) in enumerate(found, start=1)
    ]


def may(request: HttpRequest, *permissions: str) -> None:
    """As in the admin: staff, and each permission. Raises PermissionDenied."""
    user = person(request)
    if not user.is_staff or not user.has_perms([f"remediation.{name}" for name in permissions]):
        raise PermissionDenied(_("Setting up takes the rights to configure: ask somebody of the group admin."))


def keep(request: HttpRequest, row: models.Model, *, new: bool = True) -> None:
    """The line in the admin's history that its own forms leave, and word to whoever shows it."""
    LogEntry.objects.log_actions(
        person(request).pk, [row], ADDITION if new else CHANGE, "First run.", single_object=True
    )
    transaction.on_commit(lambda: edited.send(type(row), model=row._meta.model_name) and None)
