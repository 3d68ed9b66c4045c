"""Catalogues without the gettext programs: what is written is read, and what is compiled is what gettext reads."""

from __future__ import annotations

import gettext
from io import BytesIO
from pathlib import Path

import pytest

from dashboard.catalogue import Message, compiled, locale_paths, read, write
from dashboard.extraction import Unreadable, brought_up_to_date, in_python, in_template, marked, save

MESSAGES = [
    Message(id="Approve", strings=("批准",)),
    Message(id="Open", context="a breaker", strings=("断开",)),
    Message(id="%(n)s rule", plural="%(n)s rules", strings=("%(n)s 条规则",)),
    Message(id='a "quote"\n\tand \\ more', strings=('"引号"\n',)),
    Message(id="not yet"),
    Message(id="guessed", strings=("猜的",), fuzzy=True),
]


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    write(tmp_path / "django.po", "zh_Hans", MESSAGES)
    found = {one.key: one for one in read(tmp_path / "django.po")}
    assert found == {one.key: one for one in MESSAGES}


def test_gettext_reads_what_is_compiled() -> None:
    found = gettext.GNUTranslations(BytesIO(compiled(MESSAGES, "zh_Hans")))
    assert found.gettext("Approve") == "批准"
    assert found.pgettext("a breaker", "Open") == "断开"
    assert found.gettext("Open") == "Open"
    assert found.ngettext("%(n)s rule", "%(n)s rules", 5) == "%(n)s 条规则"
    assert found.gettext('a "quote"\n\tand \\ more') == '"引号"\n'
    assert [found.gettext("not yet"), found.gettext("guessed")] == ["not yet", "guessed"]


def test_a_line_that_is_no_entry_is_named(tmp_path: Path) -> None:
    (tmp_path / "django.po").write_text('msgid "a"\nmsgstr oops\n')
    with pytest.raises(ValueError, match="line 2"):
        read(tmp_path / "django.po")


def test_compiled_once_for_each_content(tmp_path: Path) -> None:
    source = tmp_path / "app" / "locale"
    write(source / "zh_Hans" / "LC_MESSAGES" / "django.po", "zh_Hans", MESSAGES)
    first = locale_paths([source], tmp_path / "home")
    assert gettext.translation("django", first[0], ["zh_Hans"]).gettext("Approve") == "批准"
    assert locale_paths([source], tmp_path / "home") == first
    write(source / "zh_Hans" / "LC_MESSAGES" / "django.po", "zh_Hans", [Message(id="Approve", strings=("同意",))])
    second = locale_paths([source], tmp_path / "home")
    assert gettext.translation("django", second[0], ["zh_Hans"]).gettext("Approve") == "同意"
    assert gettext.translation("django", first[0], ["zh_Hans"]).gettext("Approve") == "批准"
    assert sorted(path.name for path in (tmp_path / "home" / "locale").iterdir()) == sorted(
        Path(path).parent.name for path in first + second
    )


def test_translated_also_where_the_home_cannot_be_written(tmp_path: Path) -> None:
    source = tmp_path / "app" / "locale"
    write(source / "zh_Hans" / "LC_MESSAGES" / "django.po", "zh_Hans", MESSAGES)
    (tmp_path / "home").write_text("a file where the directory should be")
    (found,) = locale_paths([source], tmp_path / "home")
    assert gettext.translation("django", found, ["zh_Hans"]).gettext("Approve") == "批准"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{% translate "Approve" %}', [Message(id="Approve")]),
        ('{% translate "100 %" as x %}', [Message(id="100 %%")]),
        ('{% translate "Open" context "a breaker" %}', [Message(id="Open", context="a breaker")]),
        ('{% state "ok" _("Met") %}', [Message(id="Met")]),
        ('{{ x|default:_("none") }}', [Message(id="none")]),
        ("{% blocktranslate with n=x %}a {{ n }} b{% endblocktranslate %}", [Message(id="a %(n)s b")]),
        (
            "{% blocktranslate trimmed count n=x %}\n  one\n  rule\n{% plural %}{{ n }} rules{% endblocktranslate %}",
            [Message(id="one rule", plural="%(n)s rules")],
        ),
        ('{% comment %}{% translate "no" %}{% endcomment %}', []),
        ("{% translate name %}", []),
    ],
)
def test_what_templates_mark(text: str, expected: list[Message]) -> None:
    assert list(in_template(text)) == expected


def test_what_python_marks() -> None:
    text = (
        "from django.utils.translation import gettext as _, ngettext_lazy, pgettext, gettext_noop\n"
        '_("a" "b"); ngettext_lazy("one", "many", n); pgettext("c", "d"); gettext_noop("e"); _(variable); other("f")'
    )
    assert list(in_python(text)) == [
        Message(id="ab"),
        Message(id="one", plural="many"),
        Message(id="d", context="c"),
        Message(id="e"),
    ]


def test_what_a_plugin_declares_is_marked_without_a_word() -> None:
    text = (
        'class OneParams(Params):\n    a: int = Field(title="A", description="B", pattern="c")\n'
        '    def check(self):\n        raise ValueError("d")\n'
        'class One(Verb):\n    """E\n    f.\n\n    G."""\n    label = "H"\n'
        'class Other:\n    """I."""\n    def check(self):\n        raise ValueError("j")\n'
    )
    assert {one.id for one in in_python(text)} == {"A", "B", "d", "E f.", "H"}


def test_marks_that_cannot_work_are_refused() -> None:
    with pytest.raises(Unreadable, match="line 2"):
        list(in_python('from django.utils.translation import gettext as _\n_(f"a {b}")'))
    with pytest.raises(Unreadable, match="tag"):
        list(in_template("{% blocktranslate %}a {% if b %}c{% endif %}{% endblocktranslate %}"))


def test_a_text_that_is_counted_here_and_plain_there_is_refused(tmp_path: Path) -> None:
    counted = "{% blocktranslate count n=n %}Target{% plural %}{{ n }} targets{% endblocktranslate %}"
    (tmp_path / "a.html").write_text(counted)
    (tmp_path / "b.html").write_text('{% translate "Target" context "one" %}')
    assert len(marked(tmp_path, [tmp_path])) == 2
    (tmp_path / "b.html").write_text('{% translate "Target" %}')
    with pytest.raises(Unreadable, match="counted in one place"):
        marked(tmp_path, [tmp_path])


def test_translations_are_kept_and_what_is_gone_is_left_out(tmp_path: Path) -> None:
    page = tmp_path / "templates" / "page.html"
    page.parent.mkdir()
    page.write_text('{% translate "Approve" %}{% translate "Reject" %}')
    locale = tmp_path / "locale"
    save(locale, "zh_Hans", [Message(id="Approve", strings=("批准",)), Message(id="gone", strings=("没了",))])
    found = brought_up_to_date(tmp_path, locale, "zh_Hans", [page.parent])
    assert found == [Message(id="Approve", strings=("批准",)), Message(id="Reject")]
    assert found[0].places == ("templates/page.html",)
