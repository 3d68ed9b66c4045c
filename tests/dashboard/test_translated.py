"""Every visible text is marked, and every marked text is translated, whole and with its places."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dashboard.catalogue import Message, read
from dashboard.extraction import brought_up_to_date
from dashboard.home import BASE_DIR
from dashboard.management.commands.messages import SOURCES, derived
from tests.dashboard import unmarked

SAMPLES = BASE_DIR / "templates" / "styleguide"
"""A page for staff whose words are samples of what is stored."""
TEMPLATES = sorted(path for path in (BASE_DIR / "templates").rglob("*.html") if path.parent != SAMPLES)
PYTHON = sorted(
    path
    for app in ("dashboard", "remediation")
    for path in (BASE_DIR / app).rglob("*.py")
    if "migrations" not in path.parts
)
SCRIPTS = sorted(path for app in ("dashboard", "remediation") for path in (BASE_DIR / app / "static").rglob("*.js"))
LANGUAGES = ("zh_Hans",)
PLACE = re.compile(r"%\(\w+\)[sd]|\{\w*\}|%%|</?\w+[^>]*>")


def name_of(path: Path) -> str:
    return path.relative_to(BASE_DIR).as_posix()


@pytest.mark.parametrize("path", TEMPLATES, ids=name_of)
def test_no_template_says_what_cannot_be_translated(path: Path) -> None:
    assert list(unmarked.in_template(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("path", PYTHON, ids=name_of)
def test_no_page_says_what_cannot_be_translated(path: Path) -> None:
    assert list(unmarked.in_python(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("path", SCRIPTS, ids=name_of)
def test_no_script_says_what_cannot_be_translated(path: Path) -> None:
    assert list(unmarked.in_script(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("app", SOURCES)
def test_every_marked_text_is_translated(app: str, language: str) -> None:
    sources = [BASE_DIR / name for name in SOURCES[app]]
    found = brought_up_to_date(BASE_DIR, BASE_DIR / app / "locale", language, sources, derived(app))
    assert [f"{one.places[0]}: {one.id}" for one in found if not one.strings or one.fuzzy] == [], "run `make messages`"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("app", SOURCES)
def test_translations_keep_places_and_tags(app: str, language: str) -> None:
    found = read(BASE_DIR / app / "locale" / language / "LC_MESSAGES" / "django.po")
    assert [(one.id, one.strings) for one in found if not keeps(one)] == []


def keeps(one: Message) -> bool:
    """A language without plural forms has one text: it holds what the text for many holds."""
    return all(sorted(PLACE.findall(text)) == sorted(PLACE.findall(one.plural or one.id)) for text in one.strings)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<h2>Versions</h2>", ["Versions"]),
        ('<h2>{% translate "Versions" %}</h2>', []),
        ("<p>{{ n }} rules</p>", ["rules"]),
        ("<p>{% blocktranslate %}{{ n }} rules{% endblocktranslate %}</p>", []),
        ("<p>Homeostat <code>manage.py up</code> <kbd>Ctrl</kbd> · {{ x }} %</p>", []),
        ('<a title="Look{% if x %} here{% endif %}">', ["title: Look here"]),
        ('<a title="{% translate \'Look\' %}" class="is-wide{% if x %} is-on{% endif %}">', []),
        ('{% state "ok" "Met" %}{% state "ok" _("Met") %}', ['"Met"']),
        ('{{ x|default:"none" }}{{ x|default:_("none") }}{{ n|pluralize:"y,ies" }}', ['"none"', '"y,ies"']),
        ("<input placeholder='Why'>", ["placeholder: Why"]),
        ('{% load i18n %}data-at="{{ at }}" title="{% translate "Why" %}" alt="Because"', ["alt: Because"]),
        ('{% include "a.html" with name="by itself" tone="ok" %}', ['"by itself"']),
    ],
)
def test_unmarked_texts_of_templates_are_found(text: str, expected: list[str]) -> None:
    assert list(unmarked.in_template(text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('messages.success(request, "Done.")', ["'Done.'"]),
        ('messages.success(request, _("Done."))', []),
        ('messages.success(request, f"{x}: {y}")', []),
        ('messages.error(request, f"Not {x}")', ["f'Not {x}'"]),
        ('log.error("for the log")', []),
        ('conflict(request, message="Late" if x else _("Too late"), back="/")', ["'Late' if x else _('Too late')"]),
        ('raise ValidationError("Wrong")', ["'Wrong'"]),
        ('forms.CharField(label="Query", help_text=_("What to ask"))', ["'Query'"]),
        ('raise Conflict(f"{by} was quicker")', ["f'{by} was quicker'"]),
        ('raise Conflict(format_lazy(_("{name} was quicker"), name=by))', []),
        ('raise ConfigurationError("is kept in a row as well")', []),
        ('error = Refused\nraise error("is no level of messages")', []),
        ('Doubt(field="query", code="many series", text="Too many", remedy=_("Fewer"))', ["'Too many'"]),
        ('form.add_error("the field", "Is wrong")', ["'Is wrong'"]),
        ("format_html('<a class=\"is-wide\" href=\"{}\">{}</a>', page, _('Look'))", []),
        ("format_html('<a href=\"{}\">Look</a>', page)", ["'<a href=\"{}\">Look</a>'"]),
        ('yield _warning(9, said, "Add one.")', ["'Add one.'"]),
        ('context = {"title": f"Restore {n}", "page": "rules"}', ["f'Restore {n}'"]),
        ('@admin.display(description=_("Noise"))\ndef noise(self, row):\n    return "none"', ["'none'"]),
    ],
)
def test_unmarked_texts_of_python_are_found(text: str, expected: list[str]) -> None:
    assert list(unmarked.in_python(text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('text.textContent = "Not loaded";', ['"Not loaded"']),
        ("text.textContent = `Condition ${number}`;", ["`Condition ${number}`"]),
        ("text.textContent = `${number} · ${name}`;", []),
        ('text.textContent = say("more", { n });', []),
        ('panel.setAttribute("aria-label", "Preview");', ['"Preview"']),
    ],
)
def test_unmarked_texts_of_scripts_are_found(text: str, expected: list[str]) -> None:
    assert list(unmarked.in_script(text)) == expected


@pytest.mark.parametrize(
    ("message", "kept"),
    [
        (Message(id="%(n)s rules", strings=("%(n)s 条规则",)), True),
        (Message(id="%(n)s rules", strings=("规则",)), False),
        (Message(id="one rule", plural="%(n)s rules", strings=("%(n)s 条规则",)), True),
        (Message(id="one rule", plural="%(n)s rules", strings=("一条规则",)), False),
        (Message(id="<b>{n}</b> s", strings=("<b>{n}</b> 秒",)), True),
        (Message(id="<b>{n}</b> s", strings=("<i>{n}</i> 秒",)), False),
        (Message(id="95 %% sure", strings=("95 % 确定",)), False),
    ],
)
def test_lost_places_are_found(message: Message, kept: bool) -> None:
    assert keeps(message) is kept
