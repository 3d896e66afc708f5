"""The journal as a DATEV posting batch (Buchungsstapel, EXTF 700, format version 13).

Facts: developer.datev.de, DATEV-Format. Fields parted by semicolons, texts in quotation marks, decimal comma, CR LF,
Windows-1252; the first line says whose books of which year, the second names the columns. A line has an account and its
counter account: the postings of a transaction are paired, debits with credits in their order, so that the sums of every
account stay; what would stay on one account is no line. Amounts are those of the tenant's currency. Tax is posted on
its own account; `bu_key` keeps an automatic account from reckoning it again. The key belongs to the counter account, so
revenue always stands there, and the mark says on which side the other one is: S where it is debited, H where it is
credited.
"""

from __future__ import annotations

import re
from collections import deque
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Final, Literal
from unicodedata import normalize

from msgspec import Meta, Struct

from core.database import rows, value
from core.errors import Invalid
from core.ids import sort_key
from core.ledger.accounts import MAIN_BOOK, Code
from core.ledger.queries import booked
from core.money import as_decimal, exponent
from core.reports.journal import JournalFilter, stream_journal
from core.reports.pages import kind_words
from core.texts import N_, _

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from core.reports.journal import JournalPosting

ENCODING: Final = "cp1252"
PIECE: Final = 500
"""Lines that leave at once."""

_UNNAMABLE: Final = re.compile(r"[^\w./ -]")
"""What the name of a batch may not hold."""
_NUMBERED: Final = "Beleginfo - Art {0};Beleginfo - Inhalt {0}"
_FURTHER: Final = "Zusatzinformation - Art {0};Zusatzinformation- Inhalt {0}"
COLUMNS: Final = ";".join(
    (
        "Umsatz (ohne Soll/Haben-Kz);Soll/Haben-Kennzeichen;WKZ Umsatz;Kurs;Basis-Umsatz;WKZ Basis-Umsatz;Konto",
        "Gegenkonto (ohne BU-Schlüssel);BU-Schlüssel;Belegdatum;Belegfeld 1;Belegfeld 2;Skonto;Buchungstext",
        "Postensperre;Diverse Adressnummer;Geschäftspartnerbank;Sachverhalt;Zinssperre;Beleglink",
        *(_NUMBERED.format(at) for at in range(1, 9)),
        "KOST1 - Kostenstelle;KOST2 - Kostenstelle;Kost-Menge;EU-Land u. UStID (Bestimmung)",
        "EU-Steuersatz (Bestimmung);Abw. Versteuerungsart;Sachverhalt L+L;Funktionsergänzung L+L",
        "BU 49 Hauptfunktionstyp;BU 49 Hauptfunktionsnummer;BU 49 Funktionsergänzung",
        *(_FURTHER.format(at) for at in range(1, 21)),
        "Stück;Gewicht;Zahlweise;Forderungsart;Veranlagungsjahr;Zugeordnete Fälligkeit;Skontotyp;Auftragsnummer",
        "Buchungstyp;USt-Schlüssel (Anzahlungen);EU-Mitgliedstaat (Anzahlungen);Sachverhalt L+L (Anzahlungen)",
        "EU-Steuersatz (Anzahlungen);Erlöskonto (Anzahlungen);Herkunft-Kz;Leerfeld;KOST-Datum;SEPA-Mandatsreferenz",
        "Skontosperre;Gesellschaftername;Beteiligtennummer;Identifikationsnummer;Zeichnernummer;Postensperre bis",
        "Bezeichnung SoBil-Sachverhalt;Kennzeichen SoBil-Buchung;Festschreibung;Leistungsdatum",
        "Datum Zuord. Steuerperiode;Fälligkeit;Generalumkehr;Steuersatz;Land;Abrechnungsreferenz;BVV-Position",
        "EU-Mitgliedstaat u. UStID (Ursprung);EU-Steuersatz (Ursprung);Abw. Skontokonto",
    )
).split(";")
_TEXTS: Final = frozenset(
    {
        2,
        3,
        6,
        9,
        11,
        12,
        14,
        16,
        *range(20, 39),
        40,
        42,
        *range(48, 88),
        91,
        95,
        96,
        98,
        102,
        103,
        105,
        107,
        109,
        110,
        112,
        118,
    }
    | {120, 121, 123}
)
"""Columns, counted from 1, that are texts: they are quoted even where they are empty."""
_LOCKED: Final = 114
_MOST_LINES: Final = 99_999
"""What a batch may hold."""
_DECIMALS: Final = 2


class DatevSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whose books they are at the accountant's, and how they are kept there."""

    consultant: Annotated[
        int,
        Meta(ge=0, le=9_999_999, title=N_("Consultant number"), description=N_("Beraternummer, 1001 to 9999999")),
    ] = 0
    client: Annotated[
        int, Meta(ge=0, le=99_999, title=N_("Client number"), description=N_("Mandantennummer, 1 to 99999"))
    ] = 0
    year_begins: Annotated[
        int, Meta(ge=1, le=12, title=N_("Month in which the fiscal year begins"), description=N_("1 for January"))
    ] = 1
    account_length: Annotated[
        int, Meta(ge=4, le=8, title=N_("Digits of general accounts"), description=N_("Sachkontenlänge, 4 to 8"))
    ] = 4
    chart: Annotated[
        Literal["03", "04"], Meta(title=N_("Standard chart"), description=N_("SKR that the export numbers are of"))
    ] = "03"
    bu_key: Annotated[
        str,
        Meta(
            max_length=4,
            pattern="^[0-9]*$",
            title=N_("BU key"),
            description=N_("On lines of revenue; 40 switches the tax of an automatic account off"),
        ),
    ] = ""
    locked: Annotated[
        bool, Meta(title=N_("Committed"), description=N_("Festschreibung: the batch cannot be changed there"))
    ] = False


class _Numbered(Struct, frozen=True):
    code: str
    number: str


class Row(Struct, frozen=True):
    """A line: an account, the side of it that is meant, its counter account, and what for."""

    amount_minor: int
    side: Literal["S", "H"]
    account: str
    counter: str
    revenue: bool
    on: date
    reference: str
    text: str


async def check(settings: DatevSettings, since: date, until: date, *, currency: str) -> None:
    """Raises Invalid where DATEV would refuse it: whose it is, more than one year or than a batch holds, accounts
    without a number or with one that is too long, amounts of three decimals."""
    if settings.consultant < 1001 or not settings.client:
        raise Invalid(_("Enter the consultant and client number under DATEV first."), field="consultant")
    if until < since:
        raise Invalid(_("The last day is before the first."), field="until")
    if year_of(settings, since) != year_of(settings, until):
        raise Invalid(_("A batch is of one fiscal year: choose days of one."), field="until")
    if exponent(currency) > _DECIMALS:
        raise Invalid(
            _("DATEV takes amounts of two decimals: books in %(currency)s have more.", currency=currency), field="since"
        )
    booked_on = await rows(
        _Numbered,
        f"SELECT DISTINCT a.code, a.export_number AS number FROM {booked('booked_on BETWEEN :since AND :until')}"
        " JOIN account a ON a.id = account_id WHERE a.book_id = :book ORDER BY a.code",
        book=MAIN_BOOK,
        since=since,
        until=until,
    )
    if not booked_on:
        raise Invalid(_("Nothing was booked in these days: there is no batch of them."), field="until")
    if missing := [each.code for each in booked_on if not each.number.strip("0")]:
        raise Invalid(
            _("These accounts have no export number: %(codes)s. Enter them under Accounts.", codes=", ".join(missing)),
            field="export_number",
        )
    if long := [each.code for each in booked_on if len(each.number) > settings.account_length + 1]:
        raise Invalid(
            _(
                "The export numbers of these accounts are too long: %(codes)s. General accounts have %(digits)s digits,"
                " personal accounts one more.",
                codes=", ".join(long),
                digits=settings.account_length,
            ),
            field="export_number",
        )
    if await _most_lines(since, until) > _MOST_LINES:
        raise Invalid(
            _("A batch holds %(most)s lines, and these days have more: choose fewer days.", most=f"{_MOST_LINES:,}"),
            field="until",
        )


async def _most_lines(since: date, until: date) -> int:
    """How many lines the pairs of these days have at the most: one fewer than its postings for each transaction."""
    return int(
        await value(
            "SELECT count(*) - count(DISTINCT transaction_id) FROM posting"
            " WHERE booked_on BETWEEN :since AND :until AND base_minor <> 0",
            since=since,
            until=until,
        )
    )


def year_of(settings: DatevSettings, day: date) -> date:
    """The first day of the fiscal year that a day is in."""
    begins = date(day.year, settings.year_begins, 1)
    return begins if begins <= day else date(day.year - 1, settings.year_begins, 1)


async def batch(
    settings: DatevSettings, since: date, until: date, *, currency: str, name: str, now: datetime
) -> AsyncIterator[bytes]:
    """The file, a piece at a time."""
    lines = [header(settings, since, until, currency=currency, name=name, now=now), ";".join(COLUMNS)]
    async for transaction in _transactions(since, until):
        lines += [_line(settings, row, currency) for row in paired(transaction)]
        if len(lines) >= PIECE:
            yield _encoded(lines)
            lines = []
    if lines:
        yield _encoded(lines)


def header(settings: DatevSettings, since: date, until: date, *, currency: str, name: str, now: datetime) -> str:
    created = f"{now:%Y%m%d%H%M%S}{now.microsecond // 1000:03}"
    days = f"{year_of(settings, since):%Y%m%d};{settings.account_length};{since:%Y%m%d};{until:%Y%m%d}"
    return (
        f'"EXTF";700;21;"Buchungsstapel";13;{created};;"RE";"";"";{settings.consultant};{settings.client};{days};'
        f'{_text(_UNNAMABLE.sub("", name), 30)};"";1;0;{int(settings.locked)};"{currency}";;"";;;'
        f'"{settings.chart}";;;"";""'
    )


async def _transactions(since: date, until: date) -> AsyncIterator[list[JournalPosting]]:
    found: list[JournalPosting] = []
    async for posting in stream_journal(JournalFilter(since=since, until=until)):
        if found and found[0].transaction_id != posting.transaction_id:
            yield found
            found = []
        found.append(posting)
    if found:
        yield found


def paired(postings: Sequence[JournalPosting]) -> Iterator[Row]:
    """Debits beside credits, in their order, each cut where the other ends: the sums of the accounts stay."""
    debits = deque((each, each.base_minor) for each in postings if each.base_minor > 0)
    credits = deque((each, -each.base_minor) for each in postings if each.base_minor < 0)
    while debits and credits:
        (debit, owed), (credit, due) = debits.popleft(), credits.popleft()
        part = min(owed, due)
        named = (kind_words(debit.kind), debit.customer or credit.customer, debit.product or credit.product)
        turned = debit.code == Code.REVENUE
        if debit.export_number != credit.export_number:  # else nothing moves there, and DATEV refuses the line
            yield Row(
                amount_minor=part,
                side="H" if turned else "S",
                account=(credit if turned else debit).export_number,
                counter=(debit if turned else credit).export_number,
                revenue=Code.REVENUE in (debit.code, credit.code),
                on=debit.booked_on,
                reference=debit.reference or str(debit.transaction_id),
                text=" ".join(filter(None, named)),
            )
        if owed > part:
            debits.appendleft((debit, owed - part))
        if due > part:
            credits.appendleft((credit, due - part))


def _line(settings: DatevSettings, row: Row, currency: str) -> str:
    filled = {
        1: f"{as_decimal(row.amount_minor, currency):.{_DECIMALS}f}".replace(".", ","),
        2: _text(row.side),
        3: _text(currency),
        7: row.account,
        8: row.counter,
        9: _text(settings.bu_key.zfill(4) if settings.bu_key and row.revenue else ""),
        10: f"{row.on:%d%m}",
        11: _text(re.sub(r"[^A-Za-z0-9$&%*+/-]", "", row.reference), 36),
        14: _text(row.text, 60),
        _LOCKED: str(int(settings.locked)),
    }
    return ";".join(filled.get(at, '""' if at in _TEXTS else "") for at in range(1, len(COLUMNS) + 1))


def _text(text: str, most: int = 60) -> str:
    """Quoted, without anything that ends a line; quotation marks are doubled."""
    cut = "".join(map(_letter, re.sub(r"[\x00-\x1f\x7f]+", " ", normalize("NFC", text))))[:most]
    return '"' + cut.replace('"', '""') + '"'


def _letter(character: str) -> str:
    """As it is, or without its accent or stroke where the encoding has it only so; else it stays, to be a ?."""
    if character.encode(ENCODING, "ignore"):
        return character
    bare = sort_key(character)
    return (bare.capitalize() if character.isupper() else bare) if bare.isascii() and bare.isalpha() else character


def _encoded(lines: Sequence[str]) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode(ENCODING, "replace")
