"""The door."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.models import User
from django.contrib.auth.views import LoginView
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _

from dashboard import signing_in
from dashboard.pages.words import span


class SignInForm(AuthenticationForm):
    def get_invalid_login_error(self) -> ValidationError:
        now = timezone.now()
        until = signing_in.locked_until(self.cleaned_data.get("username") or "", now=now)
        if until is None:
            return ValidationError(
                _("That user name and password do not fit. Both are case-sensitive."), code="invalid"
            )
        return ValidationError(locked_text((until - now).total_seconds()), code="locked")


class SignIn(LoginView):
    template_name = "account/login.html"
    authentication_form = SignInForm

    def get_context_data(self, **more: Any) -> dict[str, Any]:
        """`nobody`: there is no account yet, so no password would fit."""
        return super().get_context_data(**more) | {"nobody": not User.objects.filter(is_active=True).exists()}

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        answer = super().form_invalid(form)
        if form.has_error("__all__", "locked"):
            answer.status_code = 429
        return answer


def locked_text(seconds: float) -> str:
    left = span(max(1, round(seconds)))
    return _("Too many wrong passwords: this user name is locked for another %(time)s.") % {"time": left}
