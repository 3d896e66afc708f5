"""Templates: found by prefix, strict about what is missing, escaped; money, dates and numbers as people write them."""

from __future__ import annotations

import re
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jinja2 import Environment, TemplateNotFound, UndefinedError
from markupsafe import Markup, escape

import core
from core.lists.drawing import pill
from core.web.parts import Choice, Conflict, Difference, Field, NavArea, NavItem, Section
from core.web.templating import SHELLS, Pages, TemplateFault, all_shown, feature_folders, initials, written

CORE = Path(core.__file__).parent
STAFF = SimpleNamespace(kind="staff", id=1, name="Nuala Brannock", on_behalf_of=None)
NOBODY = SimpleNamespace(kind="anonymous", id=None, name="anonymous", on_behalf_of=None)
NO_BREAK = "\u00a0"


def values(**changed: Any) -> dict[str, Any]:
    return {
        "tenant": SimpleNamespace(name="Marlbeck Net", address="http://demo.localhost:8000", test_clock=False),
        "actor": STAFF,
        "may": lambda permission: True,
        "locale": "en-IE",
        "zone": "Europe/Dublin",
        "currency": "EUR",
        "now": datetime(2026, 7, 23, 13, 5, tzinfo=UTC),
        "path": "/",
        "csrf_token": "t0k3n",
        "theme": "auto",
        "narrow": False,
        "nav": (),
        "jobs_running": [],
        "toast": "",
        "home": "/",
        "log_in": "/login",
        "inside": changed.get("actor", STAFF).kind != "anonymous",
        **changed,
    }


def pages(folders: dict[str, Path], *, compiled: Path | None = None, **plugins: Path) -> Pages:
    return Pages(folders, lambda name: f"/static/v/{name}", plugins=plugins, compiled=compiled)


OURS = pages(feature_folders(CORE))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "maps").mkdir()
    return tmp_path / "maps"


def shown(folder: Path, text: str, **changed: Any) -> str:
    (folder / "x.html").write_text(text, encoding="utf-8")
    return pages({"maps": folder}).render("maps/x.html", values(**changed))


def test_a_prefix_leads_to_its_folder_and_everything_else_to_the_shells(folder: Path) -> None:
    (folder / "map.html").write_text("the map", encoding="utf-8")
    made = pages({}, maps=folder)

    assert made.render("maps/map.html", values()) == "the map"
    assert "Something broke" in made.render("errors/500.html", values(status=500, message="", request_id="r1"))
    with pytest.raises(TemplateNotFound):
        made.render("maps/errors/500.html", values())


def test_a_plugin_cannot_take_the_name_of_templates_of_the_core(folder: Path) -> None:
    with pytest.raises(TemplateFault, match="errors"):
        pages({}, errors=folder)
    with pytest.raises(TemplateFault, match="customers"):
        pages({"customers": folder}, customers=folder)


def test_a_value_that_is_missing_is_an_error_and_never_an_empty_place(folder: Path) -> None:
    with pytest.raises(UndefinedError):
        shown(folder, "{{ forgotten }}")


def test_texts_are_escaped_in_templates_and_in_macros(folder: Path) -> None:
    html = shown(
        folder,
        """{{ name }}{{ m.pill(name, "live") }}{{ m.button(name, attrs={"data-x": name}) }}{{ m.toast(name) }}""",
        name="<script>\"'",
    )

    assert "<script>" not in html
    assert html.count("&lt;script&gt;") == 5


@pytest.mark.parametrize("text", ["&", "<", ">", '"', "'", "a<b>&c"])
def test_each_special_character_is_escaped_wherever_it_is_shown(folder: Path, text: str) -> None:
    template = (
        "{{ x }}|{% for one in [x] %}{{ one }}{% endfor %}|{% set y %}{{ x }}{% endset %}{{ y }}|{% macro z() %}{{ x }}"
        "{% endmacro %}{{ z() }}|{{ x|upper|lower }}|{{ {1: x}[1] }}"
    )

    assert shown(folder, template, x=text).split("|") == [str(escape(text))] * 6


def test_what_is_markup_is_not_escaped_again_and_what_has_html_of_its_own_gives_it(folder: Path) -> None:
    class Drawn:
        def __html__(self) -> str:
            return "<svg/>"

    html = shown(folder, "{{ x }}{{ y }}{{ n }}{{ none }}", x=Markup("<b>"), y=Drawn(), n=7, none=None)

    assert html == "<b><svg/>7None"


@pytest.mark.parametrize("text", ["a&b", "<b>", "a > b", 'say "so"', "it's"])
def test_texts_that_are_looked_at_together_are_shown_as_each_by_itself(text: str) -> None:
    for texts in (["plain", text, Markup("<i>ours</i>"), ""], ["plain", "", "both"], []):
        assert all_shown(texts) == [escape(one) for one in texts]


def test_a_label_that_reads_like_markup_is_not_taken_for_the_one_that_is() -> None:
    assert "<b>" in pill(Markup("<b>"), "live")
    assert "<b>" not in pill("<b>", "live")


def test_what_is_kept_of_the_shell_is_the_same_for_all_and_shows_each_their_own_menu(folder: Path) -> None:
    (folder / "x.html").write_text('{% extends "base.html" %}', encoding="utf-8")
    made = pages({"maps": folder})

    def page(label: str, token: str, person: str, **changed: Any) -> str:
        area = NavArea(entries=(NavItem(label=label, href="/x", icon="mail", key="x", **changed),))
        actor = SimpleNamespace(kind="staff", id=1, name=person, on_behalf_of=None)
        return made.render("maps/x.html", values(nav=(area,), csrf_token=token, actor=actor))

    first, other = page("<Mine>", "token-one", "Ann"), page("Yours", "token-two", "Bob")
    again, current = page("<Mine>", "token-three", "Eve"), page("<Mine>", "token-one", "Ann", current=True)

    assert [html.count("&lt;Mine&gt;") for html in (first, other, again)] == [3, 0, 3]
    assert "<Mine>" not in first
    assert [html.count("Yours") for html in (first, other)] == [0, 3]
    assert not re.search("token-one|Ann", other + again)
    assert 'title="&lt;Mine&gt;" aria-current="page"' in current
    assert 'aria-current="page"' not in first


def test_what_is_the_requests_own_is_filled_into_what_is_kept_and_stays_nowhere(folder: Path) -> None:
    (folder / "part.html").write_text('{{ name }} {{ m.csrf() }} <a href="{{ at }}">{{ said }}</a>', encoding="utf-8")
    (folder / "x.html").write_text(
        '{{ shell_part("maps/part.html", {"csrf_token": csrf_token, "at": path, "said": said}, name=tenant.name) }}',
        encoding="utf-8",
    )
    made = pages({"maps": folder})

    def page(token: str, path: str, said: str) -> str:
        return made.render("maps/x.html", values(csrf_token=token, path=path, said=said))

    first = page("one", "/a", "<b>")
    other = page("two", '/"b', Markup("<i>ours</i>"))

    hidden = '<input type="hidden" name="_csrf" value="{}">'
    assert first == f'Marlbeck Net {hidden.format("one")} <a href="/a">&lt;b&gt;</a>'
    assert other == f'Marlbeck Net {hidden.format("two")} <a href="/&#34;b"><i>ours</i></a>'


def test_templates_are_compiled_once_and_again_when_they_change(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "x.html").write_text("{{ tenant.name }} one", encoding="utf-8")
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    compiled: list[str | None] = []
    known = Environment._compile

    def compile_and_tell(self: Environment, code: str, file: str) -> Any:
        compiled.append(file)
        return known(self, code, file)

    monkeypatch.setattr(Environment, "_compile", compile_and_tell)

    def render() -> str:
        return pages({}, maps=folder, compiled=tmp_path / "compiled").render("maps/x.html", values())

    first, again = render(), render()
    made = len(compiled)
    (folder / "x.html").write_text("{{ tenant.name }} two", encoding="utf-8")
    changed = render()

    assert [first, again, changed] == ["Marlbeck Net one", "Marlbeck Net one", "Marlbeck Net two"]
    assert made == 2, "the macros and the page, by the first start alone"
    assert compiled[2:] == [str(folder / "x.html")]


def test_templates_are_shown_where_their_code_cannot_be_kept(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    (folder / "x.html").write_text("{{ tenant.name }}", encoding="utf-8")
    (tmp_path / "file").write_text("", encoding="utf-8")
    made = pages({}, maps=folder, compiled=tmp_path / "file" / "compiled")

    assert made.render("maps/x.html", values()) == "Marlbeck Net"


def test_a_value_cannot_become_an_attribute_of_its_own(folder: Path) -> None:
    with pytest.raises(ValueError):
        shown(folder, """{{ m.button("x", attrs={name: "1"}) }}""", name="a onclick")


def test_what_is_wrong_in_a_form_is_listed_in_the_order_of_its_fields(folder: Path) -> None:
    labels = {"label": "Label", "key": "Key", "kind": "Kind"}
    errors = {"key": "Fill this in.", "other_one": "Not so.", "label": "Fill this in, too."}

    made = shown(folder, "{{ m.form_errors(errors, labels) }}", errors=errors, labels=labels)

    assert re.findall(r'<a href="#f-(\w+)">([^<]+)</a>: ([^<]+)<', made) == [
        ("label", "Label", "Fill this in, too."),
        ("key", "Key", "Fill this in."),
        ("other_one", "Other one", "Not so."),
    ]


def test_macros_know_the_page(folder: Path) -> None:
    assert 'name="_csrf" value="t0k3n"' in shown(folder, "{{ m.csrf() }}")
    assert 'href="/static/v/icons.svg#mail"' in shown(folder, """{{ m.icon("mail") }}""")


@pytest.mark.parametrize(
    ("minor", "filtered", "expected"),
    [
        (125729, "money", "€1,257.29"),
        (-125729, "money", "−€1,257.29"),
        (-125729, "signed", "−1,257.29"),
        (-125729, "amount", "1,257.29"),
        (5, 'signed("KWD")', "0.005"),
        (1200, 'money("JPY")', "JP¥1,200"),
        (None, "money", "–"),
    ],
)
def test_money_is_written_with_a_real_minus_and_the_decimals_of_its_currency(
    folder: Path, minor: int | None, filtered: str, expected: str
) -> None:
    assert shown(folder, "{{ minor|" + filtered + " }}", minor=minor) == expected


def test_money_in_a_text_follows_the_language(folder: Path) -> None:
    assert shown(folder, "{{ 125729|money }}", locale="de") == f"1.257,29{NO_BREAK}€"


def test_a_date_of_the_tenants_zone_stands_for_an_instant(folder: Path) -> None:
    late = datetime(2026, 7, 22, 23, 30, tzinfo=UTC)

    assert shown(folder, "{{ at|date }}", at=late) == f"23{NO_BREAK}Jul{NO_BREAK}2026"
    assert shown(folder, "{{ at|time }}", at=late) == "00:30"
    assert shown(folder, "{{ at|datetime }}", at=late) == f"23{NO_BREAK}Jul{NO_BREAK}2026, 00:30"


def test_a_feed_shows_the_time_today_and_the_date_before(folder: Path) -> None:
    today, this_year = datetime(2026, 7, 23, 8, 0, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)

    assert ">09:00</time>" in shown(folder, "{{ at|when }}", at=today)
    assert ">1 Feb</time>" in shown(folder, "{{ at|when }}", at=this_year)
    assert ">1 Feb 2025</time>" in shown(folder, "{{ at|when }}", at=this_year.replace(year=2025))


def test_dates_are_written_as_the_language_does() -> None:
    assert written(date(2026, 12, 1), "en") == f"1{NO_BREAK}Dec{NO_BREAK}2026"
    assert written(date(2026, 12, 1), "en-US") == f"1{NO_BREAK}Dec{NO_BREAK}2026"
    assert written(date(2026, 12, 1), "de") == f"1.{NO_BREAK}Dez.{NO_BREAK}2026"
    assert written(date(2026, 12, 1), "xx-nonsense") == f"1{NO_BREAK}Dec{NO_BREAK}2026"


def test_initials_of_long_short_and_empty_names() -> None:
    assert [initials(name) for name in ("Nuala Mary Brannock", "plato", "")] == ["NB", "P", ""]


SECTION = Section(
    key="main",
    title="Main data",
    href="/customers/7/sections/main",
    version=3,
    fields=[
        Field(name="full_name", label="Full name", value="Orla", required=True),
        Field(name="kind", label="Kind", kind="select", value="person", choices=[Choice("person", "Person")]),
        Field(name="never_block", label="Never block", kind="check"),
        Field(name="city", label="City"),
    ],
)


def part(**changed: Any) -> str:
    return OURS.render("_partials/section.html", values(section=SECTION, **changed))


def test_a_section_reads_with_labels_of_choices_and_words_for_nothing() -> None:
    html = part()

    assert "<dd>Orla</dd>" in html
    assert "<dd>Person</dd>" in html
    assert "<dd>No</dd>" in html
    assert '<span class="t-none">None</span>' in html
    assert 'hx-get="/customers/7/sections/main/edit"' in html
    assert "<input" not in html


def test_a_section_is_edited_against_its_version() -> None:
    html = part(editing=True)

    assert 'hx-put="/customers/7/sections/main"' in html
    assert '<input type="hidden" name="version" value="3">' in html
    assert re.search(r'<input[^>]*id="f-main-full_name"[^>]*value="Orla"', html)
    assert "Save main data" in html


def test_what_was_typed_stays_beside_what_is_wrong_with_it() -> None:
    html = part(editing=True, values={"full_name": "<Orla"}, errors={"full_name": "Fill this in."})

    assert 'value="&lt;Orla"' in html
    assert '<a href="#f-main-full_name">Full name</a>: Fill this in.' in html
    assert 'aria-describedby="f-main-full_name-e "' in html
    assert "One field needs another look. Nothing was saved." in html


def test_a_conflict_shows_both_values_and_sends_only_fields() -> None:
    conflict = Conflict(
        by="Fintan Roe", at=None, differences=[Difference(field="city", label="City", theirs="Cork", yours="Sligo")]
    )

    html = part(editing=True, conflict=conflict)

    assert "Fintan Roe saved this, while you were editing." in html
    radios = re.findall(r'<input[^>]*type="radio"[^>]*>', html)
    assert [re.search(r'data-value="(\w+)"', radio)[1] for radio in radios] == ["Cork", "Sligo"]  # type: ignore[index]
    assert all('form=""' in radio for radio in radios)


@pytest.mark.parametrize("status", [400, 403, 404, 405, 409, 413, 422, 429, 500, 503])
@pytest.mark.parametrize("actor", [STAFF, NOBODY], ids=["staff", "anonymous"])
def test_every_error_has_a_page_that_names_the_request(status: int, actor: SimpleNamespace) -> None:
    html = OURS.error(status, "What is wrong.", "r1", values=values(actor=actor))

    assert "Request r1" in html
    assert html.count("<h1>") == 1
    assert ('id="palette"' in html) is (actor is STAFF)


def test_an_error_of_our_own_shows_nothing_of_its_message() -> None:
    made = OURS

    for fragment in (False, True):
        assert "secret" not in made.error(500, "secret traceback", "r1", values=values(), fragment=fragment)
        assert "r1" in made.error(500, "secret traceback", "r1", values=values(), fragment=fragment)


def test_a_fragment_is_a_banner_that_the_page_puts_in_its_place() -> None:
    html = OURS.error(409, "It was paid <just now>.", "r1", values=values(), fragment=True)

    assert "data-problem" in html
    assert "It was paid &lt;just now&gt;." in html
    assert "<html" not in html


TEMPLATES = sorted(
    [*SHELLS.rglob("*.html"), *(f for folder in feature_folders(CORE).values() for f in folder.rglob("*.html"))]
)


@pytest.mark.parametrize("file", TEMPLATES, ids=lambda file: "/".join(file.parts[-3:]))
def test_templates_compile_and_hold_no_inline_style_and_no_script(file: Path) -> None:
    text = file.read_text(encoding="utf-8")

    OURS.environment.parse(text)
    if file.parts[-2:] != ("alone", "_page.html") and "documents" not in file.parts:
        assert not re.search(r"\sstyle=|<style|\son[a-z]+=|hx-on|javascript:|hx-vals=[\"']js:", text)
        assert not re.search(r"<script(?![^>]*\ssrc=)(?![^>]*application/json)", text)
        assert "|safe" not in text
