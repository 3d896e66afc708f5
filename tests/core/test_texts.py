"""Texts in two languages: who is answered in which, values by name, catalogues that are read when they are needed."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from core import texts
from core.testing import TestTenant, installed
from core.texts import N_, Texts, _, accepted, fitting, know, language_of, ngettext, pgettext, speaking, tag_of
from core.web.templating import Pages

GERMAN = """msgid ""
msgstr ""
"Language: de\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\\n"

msgid "A text of the test."
msgstr "Ein Text des Tests."

msgid "%(who)s rang at %(time)s."
msgstr "Um %(time)s Uhr rief %(who)s an."

msgid "%(num)s lamp"
msgid_plural "%(num)s lamps"
msgstr[0] "%(num)s Lampe"
msgstr[1] "%(num)s Lampen"

msgctxt "of a lamp"
msgid "Light"
msgstr "Leicht"

msgid "%(who)s left."
msgstr "%(wer)s ging."

#, fuzzy
msgid "Perhaps."
msgstr "Vielleicht."

msgid "Not yet."
msgstr ""
"""


@pytest.fixture(autouse=True)
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "_folders", list(texts._folders))
    monkeypatch.setattr(texts, "_found", set(texts._found))
    monkeypatch.setattr(texts, "_read", {})
    (tmp_path / "locale").mkdir()
    (tmp_path / "locale" / "de.po").write_text(GERMAN, encoding="utf-8")
    know([tmp_path / "locale"])


def test_a_text_is_in_the_language_that_is_spoken_when_it_is_said() -> None:
    marked = N_("A text of the test.")
    assert _(marked) == "A text of the test."
    with speaking("de-AT"):
        assert _(marked) == "Ein Text des Tests."
        with speaking("en"):
            assert _(marked) == "A text of the test."
    with speaking("fr"):
        assert _(marked) == "A text of the test."


def test_values_are_named_so_that_a_language_may_turn_them_round() -> None:
    assert _("%(who)s rang at %(time)s.", who="Ann", time="9:00") == "Ann rang at 9:00."
    with speaking("de"):
        assert _("%(who)s rang at %(time)s.", who="Ann", time="9:00") == "Um 9:00 Uhr rief Ann an."


def test_a_count_chooses_the_form() -> None:
    assert [ngettext("%(num)s lamp", "%(num)s lamps", count) for count in (0, 1, 2)] == ["0 lamps", "1 lamp", "2 lamps"]
    with speaking("de"):
        assert [ngettext("%(num)s lamp", "%(num)s lamps", n) for n in (0, 1, 2)] == ["0 Lampen", "1 Lampe", "2 Lampen"]


def test_thousands_that_are_counted_stand_apart() -> None:
    assert ngettext("%(num)s lamp", "%(num)s lamps", 12345) == "12,345 lamps"
    with speaking("de"):
        assert ngettext("%(num)s lamp", "%(num)s lamps", 12345) == "12.345 Lampen"


def test_one_english_word_may_be_two_elsewhere() -> None:
    with speaking("de"):
        assert pgettext("of a lamp", "Light") == "Leicht"
        assert pgettext("of the sun", "Light") == "Light"


@pytest.mark.parametrize("text", ["%(who)s left.", "Perhaps.", "Not yet."])
def test_a_translation_that_does_not_fit_is_not_made_or_not_sure_is_left_out(text: str) -> None:
    with speaking("de"):
        assert _(text) == text


def test_what_came_first_stays(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "de.po").write_text(GERMAN.replace("Ein Text des Tests.", "Etwas anderes."), encoding="utf-8")
    know([other])
    with speaking("de"):
        assert _("A text of the test.") == "Ein Text des Tests."


@pytest.mark.parametrize(
    ("header", "locale"),
    [
        ("", ""),
        ("*", ""),
        ("fr,it;q=0.9", ""),
        ("de", "de"),
        ("de-AT,de;q=0.9,en;q=0.8", "de-AT"),
        ("en;q=0.4, de;q=0.7", "de"),
        ("fr-CH, fr;q=0.9, en;q=0.8, de;q=0.7", "en"),
        ("de;q=0", ""),
        ("de;q=much", ""),
        ("../../etc/passwd", ""),
        ("den,deu", ""),
        ("x" * 10_000 + ",de", ""),
    ],
)
def test_of_what_a_browser_accepts_the_best_known_language_is_taken(header: str, locale: str) -> None:
    assert accepted(header) == locale


def test_the_operators_own_way_of_writing_numbers_holds_where_the_language_is_the_same() -> None:
    assert fitting("de", "de-CH") == "de-CH"
    assert fitting("en-US", "de") == "en-US"
    assert fitting("", "fr") == "fr"
    assert (language_of("fr"), tag_of("fr"), tag_of("de_CH")) == ("en", "en", "de-CH")


def test_a_page_says_texts_when_it_is_shown_not_when_it_is_compiled(tmp_path: Path) -> None:
    (tmp_path / "x.html").write_text(
        "{{ _('A text of the test.') }} {% trans who=who, time='9 %' %}{{ who }} rang at {{ time }}.{% endtrans %}"
        " {% trans count=2 %}{{ count }} sun{% pluralize %}{{ count }} suns at 100 %{% endtrans %}"
        " {{ ngettext('%(num)s lamp', '%(num)s lamps', 2) }} {{ pgettext('of a lamp', 'Light') }}",
        encoding="utf-8",
    )
    compiled = tmp_path / "compiled"
    pages = Pages({"maps": tmp_path}, str, compiled=compiled)
    template = pages.environment.get_template("maps/x.html")
    english = template.render(who="<Ann>")
    with speaking("de"):
        german = template.render(who="<Ann>")
    again = Pages({"maps": tmp_path}, str, compiled=compiled).environment.get_template("maps/x.html")

    assert english == "A text of the test. &lt;Ann&gt; rang at 9 %. 2 suns at 100 % 2 lamps Light"
    assert german == "Ein Text des Tests. Um 9 % Uhr rief &lt;Ann&gt; an. 2 suns at 100 % 2 Lampen Leicht"
    assert again.render(who="<Ann>") == english


def test_a_start_in_english_reads_no_catalogue() -> None:
    code = (
        "import sys, core.app, core.texts; assert core.texts._('Saved.') == 'Saved.';"
        "sys.exit('babel.messages.pofile' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_installed_plugin_brings_its_catalogue() -> None:
    folder = installed()["inventory"].folder / "locale"
    know([folder])
    assert folder in texts._found


async def test_a_page_speaks_the_chosen_language_else_what_the_browser_asks_for(tenant: TestTenant) -> None:
    anonymous = tenant.anonymous()
    for asked, lang in (("", "en"), ("de-AT,de;q=0.9", "de-AT"), ("fr", "en")):
        answer = await anonymous.get("/login", headers={"accept-language": asked})
        assert f'<html lang="{lang}"' in answer.text
    page = await tenant.browser()
    german = {"accept-language": "de"}
    assert '<html lang="de"' in (await page.get("/profile", headers=german)).text

    chosen = await page.post("/profile/preferences", data={"language": "en"})

    assert (chosen.status_code, chosen.headers["location"]) == (303, "/profile")
    assert '<html lang="en"' in (await page.get("/profile", headers=german)).text
    await page.post("/profile/preferences", data={"language": "de"})
    assert '<html lang="de"' in (await page.get("/profile")).text
    await page.post("/profile/preferences", data={"language": "browser"})
    assert '<html lang="de"' in (await page.get("/profile", headers=german)).text
    assert '<html lang="en"' in (await page.get("/profile")).text
    assert (await page.post("/profile/preferences", data={"language": "fr"})).status_code == 422
    assert texts.locale_now() == "en"


def test_reading_a_language_twice_is_reading_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    monkeypatch.setattr(Texts, "read", lambda self, file, language: read.append(file))
    for locale in ("de", "de-AT", "de", "de_CH"):
        with speaking(locale):
            _("A text of the test.")
    assert len(read) == len(set(read)) >= 1


def test_a_day_in_a_text_is_written_as_the_language_writes_it() -> None:
    told = []
    for locale in ("en", "de", "de-AT", "xx"):
        with speaking(locale):
            told.append(_("It ends on %(ends_on)s already.", ends_on=date(2027, 12, 1)))

    assert told == [
        "It ends on 1 Dec 2027 already.",
        "Es endet schon am 1. Dez. 2027.",
        "Es endet schon am 1. Dez. 2027.",
        "It ends on 2027-12-01 already.",
    ]
