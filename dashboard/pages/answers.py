"""How pages answer when somebody was quicker, may not, or comes from nowhere."""

from __future__ import annotations

from typing import cast

from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme


def person(request: HttpRequest) -> User:
    """Who is signed in. Every page asks for a sign-in, so it is always somebody."""
    return cast(User, request.user)


def conflict(request: HttpRequest, *, message: str, back: str) -> HttpResponse:
    """409: nothing was done, and the page says who or what was quicker."""
    return render(request, "409.html", {"message": message, "back": back}, status=409)


def back_to(request: HttpRequest, fallback: str = "overview") -> HttpResponseRedirect:
    """The page the form was on, never another site."""
    came_from = request.headers.get("Referer", "")
    if url_has_allowed_host_and_scheme(
        came_from, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    ):
        return HttpResponseRedirect(came_from)
    return redirect(fallback)
