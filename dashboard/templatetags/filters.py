"""Labels as links that filter a list by them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from django import template
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from dashboard.pages.incidents import Filter
from dashboard.pages.words import said
from remediation.matchers import Matcher

register = template.Library()

SHOWN = 5


class Chosen(Protocol):
    """The filter of a list."""

    def with_matcher(self, matcher: Matcher) -> str: ...


@register.simple_tag
def label_link(name: str, value: str, chosen: Any = "", page: str = "incidents", kind: str = "label") -> SafeString:
    """One label: a click filters by it in addition to what is filtered already, with Shift it excludes it (filter.js).

    Values come from outside: escaped, never marked safe.
    """
    base: Chosen = chosen or Filter()
    here = reverse(page)
    return format_html(
        '<a class="{}" href="{}?{}" data-exclude="{}?{}" title="{}">{}</a>',
        kind,
        here,
        base.with_matcher(Matcher(name, "=", value)),
        here,
        base.with_matcher(Matcher(name, "!=", value)),
        _("Filter by %(label)s; with Shift, leave it out") % {"label": f'{name}="{value}"'},
        format_html("<b>{}</b>{}", name, value) if kind == "label" else said(value),
    )


@register.simple_tag
def label_links(labels: Mapping[str, str], chosen: Any = "", page: str = "incidents") -> SafeString:
    """The first few labels, by name."""
    chips = [label_link(name, str(value), chosen, page) for name, value in sorted(dict(labels or {}).items())[:SHOWN]]
    return mark_safe("".join(chips))  # noqa: S308 - joined from escaped parts


@register.simple_tag
def severity_link(severity: str, chosen: Any = "", page: str = "incidents") -> SafeString:
    return label_link("severity", severity, chosen, page, kind=f"severity is-{severity}")


@register.simple_tag
def audit_link(chosen: Any, name: str, value: str) -> str:
    """The audit's filter with one thing more."""
    return str(chosen.query(**{name: value, "before": "", "after": ""}))
