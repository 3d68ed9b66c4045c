"""Signing in: bad passwords lock a name for a while, and how long ago somebody showed theirs is known.

What counts is in the history (kind `login`), so that a restart forgets nothing and every process knows the same. A name
that nobody has is counted in the same way and never written down: it may be a password in the wrong field.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth import authenticate
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import salted_hmac

from remediation import conf
from remediation.models import Transition

KIND = "login"
GOOD, BAD, LOCKED = "signed in", "bad password", "locked"
NOBODY = "(nobody of that name)"
SESSION_KEY = "signed_in_at"


class LockingBackend(ModelBackend):
    """Django's own accounts. A locked name is refused whatever the password is, wherever it is asked for."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **more: Any
    ) -> User | None:
        if username is None or password is None:
            return None
        now = timezone.now()
        if locked_until(username, now=now) is not None:
            raise PermissionDenied("locked")
        user = super().authenticate(request, username=username, password=password, **more)
        found = user if isinstance(user, User) else None
        _write(username, GOOD if found else BAD, request, now=now)
        if found is None and locked_until(username, now=now) is not None:
            _write(username, LOCKED, request, now=now)
        return found

    async def aauthenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **more: Any
    ) -> User | None:
        return await sync_to_async(self.authenticate)(request, username=username, password=password, **more)


def locked_until(username: str, *, now: datetime) -> datetime | None:
    """When this name may try again; None while it may."""
    lines = Transition.objects.filter(kind=KIND, object_id=_number(username), to_state__in=(GOOD, BAD))
    recent = lines.filter(at__gt=now - timedelta(seconds=conf.LOCK_S)).order_by("-pk")
    newest = recent.values_list("to_state", "at")[: conf.LOCK_AFTER]
    bad = [at for _, at in takewhile(lambda line: line[0] == BAD, newest)]
    return bad[-1] + timedelta(seconds=conf.LOCK_S) if len(bad) >= conf.LOCK_AFTER else None


def lately(request: HttpRequest) -> bool:
    """Whether this session's person showed their password within REAUTH_S. A clock that was set back says no."""
    at = request.session.get(SESSION_KEY)
    return isinstance(at, int | float) and 0 <= time.time() - at <= conf.REAUTH_S


def again(request: HttpRequest, password: str) -> bool:
    """The person of this session shows their password again. A wrong one counts as one at the door does."""
    user = request.user
    shown = authenticate(request, username=user.get_username(), password=password)
    if shown is None or shown.pk != user.pk:
        return False
    request.session[SESSION_KEY] = time.time()
    return True


def connect() -> None:
    user_logged_in.connect(_remember, dispatch_uid="dashboard.signing_in")


def _remember(sender: object, *, request: HttpRequest, **_: object) -> None:
    request.session[SESSION_KEY] = time.time()


def _write(username: str, what: str, request: HttpRequest | None, *, now: datetime) -> None:
    number = _number(username)
    address = request.META.get("REMOTE_ADDR", "") if request is not None else ""
    Transition.objects.create(
        kind=KIND,
        object_id=number,
        to_state=what,
        actor=username if number > 0 else NOBODY,
        at=now,
        facts={"address": address} if address else {},
    )


def _number(username: str) -> int:
    """The account's number, or one below zero that stands for a name nobody has."""
    pk = User.objects.filter(username=username).values_list("pk", flat=True).first()
    return pk or -1 - int(salted_hmac("homeostat.login", username, algorithm="sha256").hexdigest()[:12], 16)
