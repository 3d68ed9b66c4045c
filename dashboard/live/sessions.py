"""Whether the people behind open sockets are still signed in, and may do what they might when they came."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.utils import timezone
from django.utils.crypto import constant_time_compare

Rights = frozenset[int | str]
"""What decides what a page shows somebody: numbers of permissions, and the two flags of an account."""


def still_valid(sessions: Mapping[str, int]) -> dict[str, Rights]:
    """Those of the sessions (key -> user) that exist, belong to that active user, and know the present password.

    With the rights that their person has now. Four queries, however many there are.
    """
    users = _users(sessions.values())
    rows = Session.objects.filter(session_key__in=sessions, expire_date__gt=timezone.now())
    rights = {pk: _rights(user) for pk, user in users.items()}
    return {
        row.session_key: rights[sessions[row.session_key]]
        for row in rows
        if _holds(row, users.get(sessions[row.session_key]))
    }


def _users(pks: Iterable[int]) -> dict[int, User]:
    found = get_user_model()._default_manager.filter(pk__in=set(pks), is_active=True)
    return {user.pk: user for user in found.prefetch_related("user_permissions", "groups__permissions")}


def _rights(user: User) -> Rights:
    held: set[int | str] = {permission.pk for permission in user.user_permissions.all()}
    held |= {permission.pk for group in user.groups.all() for permission in group.permissions.all()}
    flags = {"staff": user.is_staff, "superuser": user.is_superuser}
    return frozenset(held | {flag for flag, is_set in flags.items() if is_set})


def _holds(row: Session, user: User | None) -> bool:
    if user is None:
        return False
    stored = row.get_decoded()
    same_user = stored.get(SESSION_KEY) == str(user.pk)
    return same_user and constant_time_compare(stored.get(HASH_SESSION_KEY, ""), user.get_session_auth_hash())
