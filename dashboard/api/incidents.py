"""Incidents for scripts, as `manage.py incidents --json` prints them."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_GET

from remediation.management import listing


@require_GET
@login_not_required  # answers 401 itself: a script cannot do anything with a sign-in page
def as_json(request: HttpRequest) -> HttpResponse:
    """`?open=1` leaves out what is resolved; `?service=NAME` and `?limit=N` narrow it."""
    if not request.user.is_authenticated:
        return JsonResponse({"error": "Sign in first; the session's cookie is what is asked for here."}, status=401)
    limit = request.GET.get("limit", "50")
    if not (limit.isascii() and limit.isdigit() and len(limit) < 10):
        return JsonResponse({"error": f"limit must be a number from 1 to {listing.LIMIT}."}, status=400)
    only_open = request.GET.get("open", "").lower() in {"1", "true", "yes"}
    rows = listing.incidents(only_open=only_open, service=request.GET.get("service", ""), limit=int(limit))
    return JsonResponse(rows, safe=False)
