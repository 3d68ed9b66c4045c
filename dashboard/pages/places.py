"""Where one can go: the navigation, the bar under the thumb, `g` and a letter, and the command palette say the same."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True, kw_only=True)
class Place:
    """One page of the navigation.

    name: its name in urls.py, and what the page gives as `page`.
    key: the letter after `g`.
    at_night: whether it is in the bar of a phone; the others are behind "More".
    count: the argument of the fragment `count` that stands beside it; empty for none.
    """

    name: str
    label: str | Promise
    icon: str
    key: str
    at_night: bool = False
    count: str = ""

    @property
    def href(self) -> str:
        return reverse(self.name)


PLACES = (
    Place(name="overview", label=_("Overview"), icon="overview", key="o", at_night=True),
    Place(name="incidents", label=_("Incidents"), icon="incidents", key="i", at_night=True, count="incidents"),
    Place(name="approvals", label=_("Approvals"), icon="approvals", key="a", at_night=True, count="approvals"),
    Place(name="rules", label=_("Rules"), icon="rules", key="r"),
    Place(name="playbooks", label=_("Playbooks"), icon="playbooks", key="p", at_night=True),
    Place(name="analytics", label=_("Analytics"), icon="analytics", key="y"),
    Place(name="audit", label=_("Audit"), icon="audit", key="u"),
    Place(name="system", label=_("System"), icon="system", key="s", at_night=True),
    Place(name="demo", label=_("Break"), icon="demo", key="d"),
)


def places() -> list[Place]:
    """Those that there are, in their order. The panel that breaks things exists in the demo only."""
    return [place for place in PLACES if settings.HOMEOSTAT_DEMO or place.name != "demo"]
