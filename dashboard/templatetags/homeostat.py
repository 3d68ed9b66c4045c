"""What templates need: states with a shape, times that read well, and live pieces of the page."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from django import template
from django.middleware.csrf import get_token
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext, pgettext

from dashboard.live import fragments
from dashboard.pages.words import NOTHING, ago, fact_word, number, said, span, state_word, tone, verb_word
from remediation import registry
from remediation.models import Incident

register = template.Library()

TIME = re.compile(r'<time datetime="([^"]+)"[^>]*>[^<]*</time>')
NESTED = re.compile(r'<li data-nested="([^"]+)">')
EMPTY_TOKEN = '<input type="hidden" name="csrfmiddlewaretoken" value="">'  # noqa: S105 - the place for one


@register.simple_tag
def icon(name: str, extra: str = "") -> SafeString:
    """One of our own shapes. Decoration: the text beside it says the same."""
    sheet = static("dashboard/icons.svg")
    return format_html('<svg class="icon {}" aria-hidden="true"><use href="{}#{}"></use></svg>', extra, sheet, name)


@register.simple_tag
def state(value: str, label: str = "") -> SafeString:
    """A state as shape, colour and word."""
    kind = tone(value)
    return format_html('<span class="state {}">{}{}</span>', f"is-{kind}", icon(kind), label or state_word(value))


@register.simple_tag
def autonomy_state(value: str) -> SafeString:
    """How far a playbook may go alone, with its own shape: what asks first is not an ok."""
    return state(f"autonomy {value}")


@register.simple_tag
def when(at: datetime | float | None, never: str = "") -> SafeString | str:
    """A time. Written as it is, so that the piece stays the same; the page and the browser make it relative."""
    if at is None or at == 0:
        return never or gettext("never")
    moment = at if isinstance(at, datetime) else datetime.fromtimestamp(at, UTC)
    moment = moment.astimezone(UTC)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        moment.isoformat(timespec="seconds"),
        moment.strftime("%Y-%m-%d %H:%M:%S UTC"),
        moment.strftime(pgettext("time", "%b %-d, %H:%M:%S UTC")),
    )


@register.simple_tag
def clock(at: datetime) -> SafeString:
    """A time of day that stays one: for timelines, where the order matters more than the age."""
    moment = at.astimezone(UTC)
    full = moment.strftime("%Y-%m-%d %H:%M:%S UTC")
    text = moment.strftime("%H:%M:%S")
    return format_html('<span class="clock" data-clock="{}" title="{}">{}</span>', moment.isoformat(), full, text)


@register.simple_tag
def countdown(at: datetime | None) -> SafeString | str:
    """Time left. The browser counts it down."""
    if at is None:
        return gettext("no expiry")
    moment = at.astimezone(UTC)
    text = gettext("at {time}").replace("{time}", moment.strftime("%H:%M:%S UTC"))
    return format_html(
        '<span class="countdown" data-countdown="{}" title="{}">{}</span>', moment.isoformat(), text, text
    )


@register.filter
def num(value: float | None) -> str:
    return number(value)


@register.filter
def seconds(value: float | None) -> str:
    return span(value)


@register.filter
def state_words(value: str) -> str:
    return state_word(value)


@register.filter
def verb_words(value: str) -> str:
    return verb_word(value)


@register.filter
def detector_words(value: str) -> str:
    """A detector as people call it; its stored name where it is not installed any more."""
    found = registry.detectors().get(value)
    return gettext(found.label).lower() if found else value.replace("_", " ")


@register.filter
def words(value: str) -> str:
    """A stored name that the product knows (a severity, an autonomy, a guard) in the reader's language."""
    return said(value)


@register.filter
def took(incident: Incident) -> str:
    """How long an incident lasted."""
    return span((incident.resolved_at - incident.opened_at).total_seconds()) if incident.resolved_at else NOTHING


@register.filter
def percent(value: float) -> str:
    """A difference of shares, with its sign."""
    return f"{value:+.0%}"


@register.filter
def unlocalized(value: float) -> str:
    """A number for machines."""
    return repr(value)


@register.filter
def safe_link(value: str | None) -> bool:
    """Whether an address from outside may become a link: only the web's own kinds, never `javascript:`."""
    return bool(value) and urlsplit(str(value)).scheme in ("http", "https")


@register.filter
def state_tone(value: str) -> str:
    return tone(value)


@register.filter
def facts(value: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A small object as pairs of words."""
    return [(fact_word(str(key)), _short(item)) for key, item in dict(value or {}).items()]


def _short(item: Any) -> str:
    if isinstance(item, bool):
        return gettext("yes") if item else gettext("no")
    if isinstance(item, float):
        return number(item)
    if isinstance(item, list) and all(isinstance(one, str) for one in item):
        return ", ".join(item)
    return item if isinstance(item, str) else json.dumps(item, default=str)


@register.simple_tag
def labels(value: Mapping[str, str], *without: str) -> SafeString:
    """Labels as chips. Their values come from outside: escaped, never marked safe."""
    chips = [
        format_html('<span class="label"><b>{}</b>{}</span>', name, text)
        for name, text in sorted(dict(value or {}).items())
        if name not in without
    ]
    return mark_safe("".join(chips))  # noqa: S308 - joined from escaped parts


@register.simple_tag
def csrf_place() -> SafeString:
    """Where a form in a shared piece gets its token: from the page, or from the browser after a live update."""
    return mark_safe(EMPTY_TOKEN)  # noqa: S308 - a constant


@register.simple_tag(takes_context=True)
def live(context: template.Context, name: str, argument: Any = "", tag: str = "div", extra: str = "") -> SafeString:
    """A piece of the page that follows the truth. Made here for the first time, later replaced by the browser."""
    key = f"{name}:{argument}" if argument != "" else name
    return place(context, fragments.render([key]).get(key), key, tag, extra)


def place(context: template.Context, piece: fragments.Rendered | None, key: str, tag: str, extra: str) -> SafeString:
    html = localise(with_nested(piece.html), context.get("request")) if piece else ""
    version = piece.version if piece else ""
    attributes = f'data-live="{escape(key)}" data-version="{version}"' + (f' class="{escape(extra)}"' if extra else "")
    return mark_safe(f"<{tag} {attributes}>{html}</{tag}>")  # noqa: S308 - a fragment is a rendered template


def with_nested(html: str) -> str:
    """Fill the places of pieces inside a piece, all of one kind with shared queries."""
    keys = NESTED.findall(html)
    if not keys:
        return html
    found = fragments.render(keys)
    return NESTED.sub(lambda match: _nested(match[1], found.get(match[1])), html)


def _nested(key: str, piece: fragments.Rendered | None) -> str:
    if piece is None:
        return f'<li data-live="{escape(key)}" data-version="">'
    return f'<li data-live="{escape(key)}" data-version="{piece.version}">{piece.html}'


def localise(html: str, request: Any) -> str:
    """Fill in what a shared piece leaves open: how long ago its times are, and this person's form token."""
    now = timezone.now()
    html = TIME.sub(lambda match: _relative(match[1], now), html)
    if request is not None and EMPTY_TOKEN in html:
        html = html.replace(EMPTY_TOKEN, EMPTY_TOKEN.replace('value=""', f'value="{get_token(request)}"'))
    return html


def _relative(written: str, now: datetime) -> str:
    at = datetime.fromisoformat(written)
    full = at.strftime("%Y-%m-%d %H:%M:%S UTC")
    return f'<time datetime="{escape(written)}" title="{full}">{ago((now - at).total_seconds())}</time>'
