"""Templates: one environment for the core's features and all plugins, with filters for money, dates and numbers.

`customers/list.html` is core/customers/templates/list.html, `maps/map.html` is plugins/maps/templates/map.html; what
has no such prefix lies in core/web/templates. Every template has `m`, the macros, made with the page's own values.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import sys
from collections.abc import Callable, Hashable, Iterable, Mapping
from contextlib import suppress
from datetime import date, datetime
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import msgspec
from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_skeleton
from babel.numbers import format_decimal
from jinja2 import (
    ChoiceLoader,
    Environment,
    FileSystemBytecodeCache,
    FileSystemLoader,
    PrefixLoader,
    StrictUndefined,
    nodes,
    pass_context,
)
from jinja2.bccache import Bucket
from jinja2.compiler import CodeGenerator, Frame
from jinja2.runtime import Context
from markupsafe import Markup, escape

from core.money import format_amount, format_money
from core.texts import in_sentence, language_of, locale_now, said, said_of, speaking, tag_of, texts_of
from core.texts import number as counted
from core.web.once import form_key

if TYPE_CHECKING:
    from core.scope import Scope

SHELLS: Final = Path(__file__).resolve().parent / "templates"
COMPILED: Final = SHELLS.parent / "__pycache__" / "templates"
MACROS: Final = "macros.html"
ERROR_PAGES: Final = frozenset({403, 404, 409, 422, 429, 500, 503})
NO_BREAK: Final = "\u00a0"
DASH: Final = "–"
KEPT: Final = 256
"""Parts of shells that are remembered: one for each menu that somebody sees, each page of it that is open, each
person."""
KEPT_PANELS: Final = 256
"""Panels of lists that are remembered: four for each list, as it is filtered and as its columns stand."""
NOTHING_OWN: Final[Mapping[str, object]] = {}


class TemplateFault(Exception):
    """Templates that cannot live beside each other. Raised at start-up."""


_MARKED: Final = re.compile(r'\b_\("([^"]+)"')
_SPECIAL: Final = re.compile("[&<>\"']").search


def shown(value: Any) -> str:
    """A value in a place of a template: what `escape` gives, in half the time for most of what is shown. A text without
    a special character stands for itself, since all that a template does with it from here on is to join it.
    """
    kind = type(value)
    if kind is Markup or (kind is str and _SPECIAL(value) is None):
        plain: str = value
        return plain
    return escape(value)


def marked(text: str) -> Markup:
    """Text that is markup already: what `Markup(text)` gives, in half the time."""
    return str.__new__(Markup, text)


def all_shown(texts: list[str]) -> list[str]:
    """`shown` of each. They are looked at together: most columns of most pages have no special character."""
    return texts if _SPECIAL("".join(texts)) is None else [shown(text) for text in texts]


class _Writer(CodeGenerator):
    """Templates call `shown` where they would call `escape`."""

    def _output_child_pre(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:
        if frame.eval_ctx.volatile or not frame.eval_ctx.autoescape or finalize.src is not None:
            super()._output_child_pre(node, frame, finalize)
        else:
            self.write("environment.shown(")


class _Compiled(FileSystemBytecodeCache):
    """Templates as code, in files beside the modules' own: half of what a start of the application would take."""

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder))
        self._writer = f"{version('jinja2')} {hashlib.sha256(Path(__file__).read_bytes()).hexdigest()}"

    def get_source_checksum(self, source: str) -> str:
        """Another Jinja2, or another way of ours to write code, makes all of them anew."""
        return hashlib.sha256(f"{self._writer}\n{source}".encode()).hexdigest()

    def dump_bytecode(self, bucket: Bucket) -> None:
        with suppress(OSError):  # a folder that cannot be written: compiled at each start then
            super().dump_bytecode(bucket)


def _is_folder(path: Path) -> bool:
    """Whether it is one, made if need be."""
    with suppress(OSError):
        path.mkdir(parents=True, exist_ok=True)
    return path.is_dir()


class _Environment(Environment):
    code_generator_class = _Writer
    shown = staticmethod(shown)


class Pages:
    """Renders every page, part and error."""

    def __init__(
        self,
        folders: Mapping[str, Path],
        asset: Callable[[str], str],
        *,
        plugins: Mapping[str, Path] | None = None,
        compiled: Path | None = COMPILED,
    ) -> None:
        """`folders` and `plugins`: templates of each feature and plugin by name. `asset`: a static file's address.
        `compiled`: where they are kept as code for the next start."""
        self.environment = environment(folders, plugins or {})
        if compiled is not None and not sys.dont_write_bytecode and _is_folder(compiled):
            self.environment.bytecode_cache = _Compiled(compiled)
        self.environment.globals.update(
            asset=asset, draw_icon=_icons(asset), shell_part=self._shell_part_now, panel_part=self._panel_part_now
        )
        self._shell_parts = lru_cache(maxsize=KEPT)(self._part)
        self._panel_parts = lru_cache(maxsize=KEPT_PANELS)(self._part)
        self._mark = f"{secrets.token_hex(16)}-"
        self._macros = self.environment.get_template(MACROS)

    def render(self, template: str, values: Mapping[str, object]) -> str:
        """The template with its values, which include `page_values()`."""
        known = dict(values)
        known["m"] = self._macros.make_module(known)
        return self.environment.get_template(template).render(known)

    def _shell_part_now(self, template: str, own: Mapping[str, object] = NOTHING_OWN, **values: Hashable) -> str:
        """A part of the shell that is the same for many requests: these values alone, macros and assets are in it, in
        the language that is spoken now. Values of `own` are this request's: they are shown, and nothing is asked of
        them; they are filled in each time, and kept nowhere."""
        return _filled(self._shell_parts(template, tuple(own), spoken=_language_now(), **values), own)

    def _panel_part_now(self, template: str, own: Mapping[str, object] = NOTHING_OWN, **values: Hashable) -> str:
        """The same for panels of pages, of which there are many more: they push out nothing of the shell."""
        return _filled(self._panel_parts(template, tuple(own), spoken=_language_now(), **values), own)

    def _part(self, template: str, own: tuple[str, ...], **values: Hashable) -> list[str]:
        """Its text and the names of what is filled in, by turns. Their places are marked by what nobody can guess."""
        marked_ones = {name: f"{self._mark}{name}{self._mark}" for name in own}
        return self.render(template, {**values, **marked_ones}).split(self._mark)

    def error(
        self, status: int, message: str, request_id: str, *, values: Mapping[str, object], fragment: bool = False
    ) -> str:
        """What is shown instead of what was asked for.

        With `fragment` a banner for htmx, which the page puts where it belongs; else a page, inside the shell for
        whoever is logged in.
        """
        name = "fragment" if fragment else str(status) if status in ERROR_PAGES else "other"
        known = {**values, "status": status, "message": message, "request_id": request_id}
        return self.render(f"errors/{name}.html", known)


def _filled(part: list[str], own: Mapping[str, object]) -> Markup:
    if len(part) == 1:
        return marked(part[0])
    return marked("".join([shown(own[text]) if at % 2 else text for at, text in enumerate(part)]))


def _icons(asset: Callable[[str], str]) -> Callable[..., str]:
    """`m.icon`: each icon is drawn once."""

    @lru_cache(maxsize=2048)
    def draw_icon(name: str, label: str = "", cls: str = "icon") -> str:
        said = Markup('role="img" aria-label="{}"').format(label) if label else Markup('aria-hidden="true"')
        use = Markup('<use href="{}#{}"/>').format(asset("icons.svg"), name)
        return Markup('<svg class="{}" {}>{}</svg>').format(cls, said, use)

    return draw_icon


def page_values(
    scope: Scope,
    *,
    path: str,
    csrf_token: str = "",
    theme: str = "auto",
    narrow: bool = False,
    nav: Iterable[object] = (),
    jobs_running: Iterable[object] = (),
    toast: str = "",
    reader_zone: str = "",
) -> dict[str, Any]:
    """What every template can rely on. `nav` holds parts.NavArea, `jobs_running` parts.RunningJob."""
    return {
        "tenant": scope.tenant,
        "actor": scope.actor,
        "may": scope.may,
        "locale": scope.locale,
        "zone": scope.tenant.time_zone,
        "reader_zone": reader_zone,
        "currency": scope.tenant.currency,
        "now": scope.now(),
        "path": path,
        "csrf_token": csrf_token,
        "theme": theme,
        "narrow": narrow,
        "nav": tuple(nav),
        "jobs_running": list(jobs_running),
        "toast": toast,
        "home": "/",
        "log_in": "/login",
        "inside": scope.actor.kind != "anonymous",
    }


def environment(folders: Mapping[str, Path], plugins: Mapping[str, Path]) -> Environment:
    """The Jinja2 environment. Raises TemplateFault where a plugin's name would hide other templates."""
    taken = {*folders, *(entry.name for entry in SHELLS.iterdir() if entry.is_dir())}
    for name in plugins:
        if name in taken:
            raise TemplateFault(f"The plugin {name} cannot be loaded: core has templates of that name.")
    made = _Environment(
        loader=ChoiceLoader(
            [
                PrefixLoader({name: FileSystemLoader(folder) for name, folder in {**folders, **plugins}.items()}),
                FileSystemLoader(SHELLS),
            ]
        ),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        cache_size=-1,
        auto_reload=False,
        extensions=["jinja2.ext.i18n"],
    )
    made.filters.update(FILTERS)
    made.globals.update(
        choice_of=choice_of,
        choices_of=choices_of,
        labels_of=labels_of,
        tag_of=tag_of,
        in_sentence=in_sentence,
        form_key=form_key,
    )
    speak(made)
    return made


def speak(environment: Environment) -> None:
    """Texts of its templates are looked up when they are shown, in the language spoken then: {% trans %} and `_`."""
    environment.policies["ext.i18n.trimmed"] = True
    vars(environment)["newstyle_gettext"] = True
    environment.globals.update(_=_text, gettext=_text, ngettext=_form, pgettext=_text_in, npgettext=_form_in)
    environment.globals.update(language_now=_language_now, script_texts=script_texts)


def _language_now() -> str:
    return language_of(locale_now())


def script_texts() -> str:
    """What scripts of the pages say, as JSON from the English to the language that is spoken now; "" in English."""
    return _script_texts(_language_now())


@lru_cache(maxsize=16)
def _script_texts(language: str) -> str:
    with speaking(language):
        found = texts_of(_said_by_scripts())
    return msgspec.json.encode(found).decode() if found else ""


@lru_cache(maxsize=1)
def _said_by_scripts() -> frozenset[str]:
    scripts = (file.read_text(encoding="utf-8") for file in (SHELLS.parent / "static" / "js").glob("*.js"))
    return frozenset(text for script in scripts for text in _MARKED.findall(script))


def _text(message: str, /, **values: object) -> Markup:
    """A text of ours may hold markup; what is filled in is escaped."""
    text = said(message)
    return Markup(text) % values if values else _whole(text)


@lru_cache(maxsize=8192)
def _whole(text: str) -> Markup:
    """A text with nothing to be filled in: the same each time that it is said."""
    return Markup(text) % {}


def _form(one: str, many: str, num: int, /, **values: object) -> Markup:
    return Markup(said_of(one, many, num)) % {"num": counted(num), **values}


def _text_in(context: str, message: str, /, **values: object) -> Markup:
    return Markup(said(message, context)) % values


def _form_in(context: str, one: str, many: str, num: int, /, **values: object) -> Markup:
    return Markup(said_of(one, many, num, context)) % {"num": counted(num), **values}


def feature_folders(root: Path) -> dict[str, Path]:
    """The templates folders of the features (or plugins) that lie beside each other under `root`."""
    return {
        folder.parent.name: folder
        for folder in sorted(root.glob("*/templates"))
        if folder.is_dir() and folder != SHELLS
    }


def choice_of(choice: Any) -> tuple[str, str]:
    """(value, label) of a parts.Choice, a pair, or a text that is both."""
    if isinstance(choice, str):
        return choice, choice
    if isinstance(choice, tuple):
        return str(choice[0]), str(choice[1])
    return choice.value, choice.label


def choices_of(rows: Iterable[Any], value: str, label: str) -> list[tuple[str, str]]:
    """Choices of a select from rows: which attribute is sent, which is read."""
    return [(str(getattr(row, value)), str(getattr(row, label))) for row in rows]


def labels_of(fields: Iterable[Any]) -> dict[str, str]:
    """Labels of fields by their names, for the banner that lists what is wrong."""
    return {field.name: field.label for field in fields}


@pass_context
def money(context: Context, minor: int | None, currency: str = "") -> str:
    """An amount in a text, as the language writes it: €1,257.29. The tenant's currency unless another is named."""
    if minor is None:
        return DASH
    return format_money(minor, currency or str(context["currency"]), str(context["locale"])).replace(" ", NO_BREAK)


@pass_context
def signed(context: Context, minor: int | None, currency: str = "") -> str:
    """An amount in a column, minus in front where it is negative: −1,257.29."""
    return DASH if minor is None else format_amount(minor, currency or str(context["currency"]))


@pass_context
def amount(context: Context, minor: int | None, currency: str = "") -> str:
    """An amount in a column without its sign: 1,257.29."""
    return DASH if minor is None else format_amount(abs(minor), currency or str(context["currency"]))


@pass_context
def number(context: Context, count: int | None) -> str:
    """A count: 4,312."""
    return DASH if count is None else grouped(count, str(context["locale"]))


@pass_context
def day(context: Context, on: date | None) -> str:
    """A date: 1 Dec 2026."""
    return DASH if on is None else written(_in_zone(context, on), str(context["locale"]))


@pass_context
def short_day(context: Context, on: date | None) -> str:
    """A date, its year left out when it is this one: 1 Dec."""
    if on is None:
        return DASH
    local, today = _in_zone(context, on), _in_zone(context, context["now"])
    return written(local, str(context["locale"]), year=local.year != today.year)


@pass_context
def clock_time(context: Context, at: datetime | None) -> str:
    """The time of an instant in the tenant's zone: 14:02."""
    return DASH if at is None else at.astimezone(_zone(str(context["zone"]))).strftime("%H:%M")


@pass_context
def instant(context: Context, at: datetime | None) -> str:
    """An instant in the tenant's zone: 1 Dec 2026, 14:02."""
    return DASH if at is None else f"{day(context, at)}, {clock_time(context, at)}"


@pass_context
def when(context: Context, at: datetime | None) -> Markup | str:
    """An instant as feeds show it, the time today, else the date; whole in the element's title, there also in the
    reader's own zone where that is another one."""
    if at is None:
        return DASH
    zone, locale = str(context["zone"]), str(context["locale"])
    return in_time(at, context["now"], locale=locale, zone=zone, own=str(context.get("reader_zone") or ""))


def in_time(at: datetime, now: datetime, *, locale: str, zone: str, own: str = "") -> Markup:
    """As `when` shows it; `own` is the zone of the reader."""
    here, today = at.astimezone(_zone(zone)), now.astimezone(_zone(zone)).date()
    brief = f"{here:%H:%M}" if here.date() == today else written(here.date(), locale, year=here.year != today.year)
    title = f"{written(here.date(), locale)}, {here:%H:%M}"
    if own and own != zone:
        there = at.astimezone(_zone(own))
        title = f"{title} ({own}: {written(there.date(), locale)}, {there:%H:%M})"
    return marked(
        f'<time datetime="{at.isoformat()}" title="{shown(title)}">{shown(brief.replace(NO_BREAK, " "))}</time>'
    )


def initials(name: str) -> str:
    """First letters of the first and the last word: NB."""
    words = name.split()
    return "".join(word[0] for word in (words[:1] + words[-1:] if len(words) > 1 else words)).upper()


@lru_cache(maxsize=4096)
def written(on: date, locale: str, *, year: bool = True) -> str:
    """A date in words of the language; English always as 1 Dec 2026."""
    chosen = _locale(locale)
    if chosen.language == "en":
        text = format_date(on, "d MMM y" if year else "d MMM", locale=chosen)
    else:
        text = format_skeleton("yMMMd" if year else "MMMd", on, locale=chosen)
    return text.replace(" ", NO_BREAK)


def month_written(day: date, locale: str) -> str:
    """The month of a day in words of the language: Nov 2026, Nov. 2026."""
    return format_skeleton("yMMM", day, locale=_locale(locale)).replace(" ", NO_BREAK)


def _in_zone(context: Context, moment: date | datetime) -> date:
    if isinstance(moment, datetime):
        return moment.astimezone(_zone(str(context["zone"]))).date()
    return moment


@lru_cache(maxsize=4096)
def grouped(count: int, locale: str) -> str:
    """A count, its thousands apart as the language writes them."""
    return format_decimal(count, locale=_locale(locale))


@lru_cache(maxsize=512)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


@lru_cache(maxsize=512)
def _locale(name: str) -> Locale:
    try:
        return Locale.parse(name.replace("-", "_"))
    except (UnknownLocaleError, ValueError):
        return Locale("en")


FILTERS: Final[dict[str, Callable[..., Any]]] = {
    "money": money,
    "signed": signed,
    "amount": amount,
    "number": number,
    "date": day,
    "day": short_day,
    "time": clock_time,
    "datetime": instant,
    "when": when,
    "initials": initials,
}
