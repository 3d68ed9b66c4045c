"""What is offered while a filter is typed: names and values of labels that exist."""

from __future__ import annotations

from collections import Counter

from django.core.exceptions import BadRequest
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_GET

from dashboard.pages import incidents, rules
from dashboard.pages.matching import Labelled
from remediation.models.base import LABEL_NAME

LISTS = {"incidents": incidents.LABELS, "rules": rules.LABELS}
OFFERED = 20
LOOKED_AT = 300
"""Rows whose labels' names are offered: the newest."""

LENGTH = 200


@require_GET
def labels(request: HttpRequest) -> JsonResponse:
    """`name` names the label whose values are asked for; without it, names are. `start` is what is typed already."""
    labelled = LISTS.get(request.GET.get("list", ""))
    if labelled is None:
        raise BadRequest("No such list.")
    name, start = (request.GET.get(key, "").replace("\x00", "")[:LENGTH] for key in ("name", "start"))
    if name and not LABEL_NAME.fullmatch(name):
        raise BadRequest("This is no name of a label.")
    found = values(labelled, name, start) if name else names(labelled, start)
    return JsonResponse({"found": found}, headers={"Cache-Control": "no-store"})


def names(labelled: Labelled, start: str) -> list[str]:
    """The most frequent first; those that every row has come before them."""
    rows = labelled.rows().order_by("-pk").values_list(labelled.json, flat=True)[:LOOKED_AT]
    counted = Counter(name for row in rows if isinstance(row, dict) for name in row)
    ordered = [*labelled.columns, *(name for name, _ in counted.most_common() if name not in labelled.columns)]
    return [name for name in ordered if name.startswith(start) and LABEL_NAME.fullmatch(name)][:OFFERED]


def values(labelled: Labelled, name: str, start: str) -> list[str]:
    rows = labelled.rows().order_by().alias(label=labelled.label(name)).filter(label__istartswith=start)
    found = rows.exclude(label="").values_list(labelled.label(name), flat=True).distinct()[: 10 * OFFERED]
    return sorted(found)[:OFFERED]
