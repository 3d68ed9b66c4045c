"""First run: from nothing to a first rule in shadow. Here the beginning, and its first step: a source that answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from dashboard.pages import first_run_steps as steps
from remediation.admin.outside import client_of
from remediation.checks import plain, refuse_source_address
from remediation.exceptions import ConfigurationError
from remediation.models import Source
from remediation.observe import discovery
from remediation.observe.discovery import Greeting
from remediation.observe.prometheus import origin_of

if TYPE_CHECKING:
    ModelForm = forms.ModelForm[Source]
else:
    ModelForm = forms.ModelForm

DRAFT = "first_run_source"
"""Where the session keeps what was typed of a source that is not saved yet: references to secrets, never secrets."""


class SourceForm(ModelForm):
    class Meta:
        model = Source
        fields = ("url", "name", "auth", "username", "secret_ref", "verify_tls")
        labels = {
            "url": gettext_lazy("Address"),
            "name": gettext_lazy("Name"),
            "auth": gettext_lazy("Authentication"),
            "username": gettext_lazy("User name"),
            "secret_ref": gettext_lazy("Reference to the secret"),
            "verify_tls": gettext_lazy("Verify TLS"),
        }
        help_texts = {
            "url": gettext_lazy("Prometheus, Thanos, Mimir or VictoriaMetrics, such as http://prometheus:9090."),
            "name": gettext_lazy("What it is called here. Letters, digits, - and _."),
            "secret_ref": gettext_lazy("env:NAME or file:/path, where web and worker run. The secret is never stored."),
        }
        widgets = {
            "url": forms.URLInput(attrs={"autocomplete": "url", "spellcheck": "false", "autofocus": True}),
            "name": forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
            "secret_ref": forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        }


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What came of asking. refused: the address is never asked, so it cannot be saved. test: a command to try."""

    greeting: Greeting | None = None
    trouble: str = ""
    test: str = ""
    refused: bool = False


def start(request: HttpRequest) -> HttpResponse:
    """Where one stands; whoever comes back goes on from here."""
    steps.may(request, "view_source")
    places = steps.places(None)
    following = next((one for one in places if not one.done), None)
    return render(request, "first_run/index.html", {"page": "first-run", "steps": places, "following": following})


def source(request: HttpRequest) -> HttpResponse:
    """The form; saved only once the source was asked, and, where it does not answer, only when that is insisted on."""
    steps.may(request, "add_source")
    form = SourceForm(request.POST or None, initial=request.session.get(DRAFT, {"name": _free_name()}))
    checked = None
    if request.method == "POST":
        _remember(request)
        if form.is_valid():
            checked = _ask(form.instance)
            if checked.greeting or ("anyway" in request.POST and not checked.refused):
                return _save(request, form, checked)
    elif request.session.get(DRAFT, {}).get("url"):
        form = SourceForm(request.session[DRAFT])
        checked = _look(form)
    context = {
        "page": "first-run",
        "form": form,
        "checked": checked,
        "known": list(Source.objects.order_by("name")),
        "steps": steps.places(None, at=1),
    }
    return render(request, "first_run/source.html", context, status=422 if form.is_bound and request.POST else 200)


@require_POST
def check(request: HttpRequest) -> HttpResponse:
    """What the address that is being typed says, as a piece of the page."""
    steps.may(request, "add_source")
    _remember(request)
    return render(request, "first_run/_checked.html", {"checked": _look(SourceForm(request.POST))})


def _look(form: SourceForm) -> Checked | None:
    """Whatever else is still missing, an address that can be asked is asked."""
    form.is_valid()
    wrong = [str(text) for name in ("url", "secret_ref", "username") for text in form.errors.get(name, [])]
    if wrong:
        return Checked(trouble=" ".join(wrong), refused=True) if form.data.get("url", "").strip() else None
    return _ask(form.instance)


def _ask(row: Source) -> Checked:
    """The address is checked against what is never asked before a word is sent there."""
    try:
        refuse_source_address(row.url)
    except ConfigurationError as error:
        return Checked(trouble=str(error), refused=True)
    try:
        return Checked(greeting=discovery.greet(client_of(row), now=timezone.now().timestamp()))
    except Exception as error:  # noqa: BLE001 - whatever the source does, the page says it
        return Checked(trouble=plain(error), test=f"curl '{origin_of(row.url)}/api/v1/query?query=1'")


def _save(request: HttpRequest, form: SourceForm, checked: Checked) -> HttpResponse:
    with transaction.atomic():
        row = form.save()
        steps.keep(request, row)
    request.session.pop(DRAFT, None)
    if checked.greeting:
        messages.success(request, _("%(name)s answers and is saved.") % {"name": row.name})
    else:
        said = _("%(name)s is saved, though it does not answer: %(trouble)s")
        messages.warning(request, said % {"name": row.name, "trouble": checked.trouble})
    return redirect("first-run-services", name=row.name)


def _remember(request: HttpRequest) -> None:
    draft: dict[str, Any] = {name: request.POST[name][:500] for name in SourceForm.Meta.fields if name in request.POST}
    request.session[DRAFT] = draft


def _free_name() -> str:
    taken = set(Source.objects.values_list("name", flat=True))
    return next(name for name in ("main", *(f"source-{number}" for number in range(2, 1000))) if name not in taken)
