"""A statement of account: what was charged, paid and credited in a period; screen and PDF share one page."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from core.documents.formats import Formats, write_day
from core.documents.model import Buyer, Look, Seller
from core.documents.pdf import render_pdf
from core.documents.sheet import LOGOS, templates
from core.documents.words import words_for

if TYPE_CHECKING:
    from collections.abc import Mapping


class StatementEntry(Struct, frozen=True, kw_only=True):
    """One line: a charge is positive, money or credit negative."""

    on: date
    text: str
    detail: str = ""
    amount_minor: int


class StatementPart(Struct, frozen=True, kw_only=True):
    """The account in one currency. Positive is owed by the customer, negative is its credit."""

    currency: str
    opening_minor: int
    entries: tuple[StatementEntry, ...]
    deposit_minor: int = 0
    """Held for the customer beside the account, at the end of the last day."""

    @property
    def closing_minor(self) -> int:
        return self.opening_minor + sum(each.amount_minor for each in self.entries)


class Statement(Struct, frozen=True, kw_only=True):
    """A customer's account from the first to the last day of a period, both included."""

    language: str
    seller: Seller
    buyer: Buyer
    since: date
    until: date
    made_on: date
    parts: tuple[StatementPart, ...]
    look: Look = Look()


class StatementWords(Struct, frozen=True, kw_only=True):
    """What stands on a statement beside its values."""

    statement: str
    period: str
    date: str
    customer: str
    day: str
    text: str
    charged: str
    credited: str
    balance: str
    opening: str
    closing: str
    total: str
    nothing: str
    to_pay: str
    in_favour: str
    settled: str
    deposit: str
    how: str


ENGLISH: Final = StatementWords(
    statement="Statement of account",
    period="Period",
    date="Date",
    customer="Customer",
    day="Date",
    text="Description",
    charged="Charged",
    credited="Paid or credited",
    balance="Balance",
    opening="Balance brought forward",
    closing="Balance",
    total="Total of the period",
    nothing="Nothing was booked in this period.",
    to_pay="To pay",
    in_favour="Your credit",
    settled="Settled",
    deposit="Deposit held for you, not in the balance",
    how="A positive balance is to be paid, a negative one is your credit.",
)
GERMAN: Final = StatementWords(
    statement="Kontoauszug",
    period="Zeitraum",
    date="Datum",
    customer="Kundennummer",
    day="Datum",
    text="Text",
    charged="Belastung",
    credited="Zahlung, Gutschrift",
    balance="Saldo",
    opening="Saldovortrag",
    closing="Saldo",
    total="Summe des Zeitraums",
    nothing="In diesem Zeitraum wurde nichts gebucht.",
    to_pay="Zu zahlen",
    in_favour="Ihr Guthaben",
    settled="Ausgeglichen",
    deposit="Für Sie verwahrte Kaution, nicht im Saldo",
    how="Ein positiver Saldo ist zu zahlen, ein negativer ist Ihr Guthaben.",
)


def statement_words(language: str) -> StatementWords:
    """The words of a language, “de-AT” as “de”; English where there are none."""
    return GERMAN if language.lower().startswith("de") else ENGLISH


class _Line(Struct, frozen=True, kw_only=True):
    on: str
    text: str
    detail: str = ""
    charged: str = ""
    credited: str = ""
    balance: str

    def said(self, word: str) -> str:
        """The balance behind this line, where a page ends with it or begins after it."""
        return f"{word} {self.balance}"


class _Part(Struct, frozen=True, kw_only=True):
    currency: str
    opening: _Line
    lines: tuple[_Line, ...]
    closing: _Line
    told: str
    amount: str
    deposit: str = ""


def statement_page(statement: Statement, *, css: str = "") -> str:
    """The whole page. `css` is the address of the style sheet on a screen; the PDF's workers have it already."""
    words, shared = statement_words(statement.language), words_for(statement.language)
    formats = Formats(statement.language, statement.parts[0].currency)
    period = formats.period(statement.since, statement.until + timedelta(days=1))
    seller = statement.seller
    return (
        templates()
        .get_template("statement.html")
        .render(
            language=statement.language,
            words=words,
            shared=shared,
            seller=seller,
            buyer=statement.buyer,
            sender_line=" · ".join((seller.legal_name, *seller.address)),
            foot=" · ".join(
                text
                for text in (seller.legal_name, *seller.address, seller.legal_line, *statement.look.legal.splitlines())
                if text
            ),
            look=statement.look,
            logos=LOGOS if css and not seller.logo.startswith(("/", "http")) else "",
            facts=(
                (words.date, write_day(statement.made_on, statement.language)),
                (words.period, period),
                (words.customer, statement.buyer.customer_number),
            ),
            parts=[_part(each, words, statement) for each in statement.parts],
            several=len(statement.parts) > 1,
            css=css,
        )
    )


def _part(part: StatementPart, words: StatementWords, statement: Statement) -> _Part:
    formats = Formats(statement.language, part.currency)
    running, lines = part.opening_minor, []
    for each in part.entries:
        running += each.amount_minor
        lines.append(
            _Line(
                on=formats.day(each.on),
                text=each.text,
                detail=each.detail,
                charged=formats.amount(each.amount_minor) if each.amount_minor > 0 else "",
                credited=formats.amount(-each.amount_minor) if each.amount_minor < 0 else "",
                balance=formats.amount(running),
            )
        )
    closing = part.closing_minor
    return _Part(
        currency=part.currency,
        opening=_Line(on=formats.day(statement.since), text=words.opening, balance=formats.amount(part.opening_minor)),
        lines=tuple(lines),
        closing=_Line(
            on=formats.day(statement.until),
            text=words.total,
            charged=formats.amount(sum(each.amount_minor for each in part.entries if each.amount_minor > 0)),
            credited=formats.amount(-sum(each.amount_minor for each in part.entries if each.amount_minor < 0)),
            balance=formats.amount(closing),
        ),
        told=words.to_pay if closing > 0 else words.in_favour if closing < 0 else words.settled,
        amount=formats.money(abs(closing)),
        deposit=formats.money(part.deposit_minor) if part.deposit_minor else "",
    )


async def statement_pdf(statement: Statement, *, assets: Mapping[str, bytes] | None = None) -> bytes:
    """The PDF. PdfFailed says why not."""
    return await render_pdf(statement_page(statement), assets=assets)
