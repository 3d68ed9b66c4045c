"""Whether the people behind open sockets are still signed in."""

from __future__ import annotations

from collections.abc import Mapping

from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.utils import timezone
from django.utils.crypto import constant_time_compare


def still_valid(sessions: Mapping[str, int]) -> set[str]:
    """Those of the sessions (key -> user) that exist, belong to that active user, and know the present password."""
    rows = Session.objects.filter(session_key__in=sessions, expire_date__gt=timezone.now())
    users = {user.pk: user for user in get_user_model()._default_manager.filter(pk__in=set(sessions.values()))}
    return {row.session_key for row in rows if _holds(row, users.get(sessions[row.session_key]))}


def _holds(row: Session, user: User | None) -> bool:
    if user is None or not user.is_active:
        return False
    stored = row.get_decoded()
    same_user = stored.get(SESSION_KEY) == str(user.pk)
    return same_user and constant_time_compare(stored.get(HASH_SESSION_KEY, ""), user.get_session_auth_hash())
