"""PDFs as they are read: complete, the same each time, with pages that are numbered and lines that are not split."""

from __future__ import annotations

import asyncio
import contextlib
import re
import zlib
from datetime import date, timedelta
from io import BytesIO

import pypdfium2
import pytest
from PIL import Image

from core.activity.unit import InsideUnit, unit_of_work
from core.documents.frames import Job
from core.documents.model import Buyer, DocumentKind, Seller
from core.documents.pdf import PdfPool, close_pdf_pool
from core.documents.sheet import document_page, document_pdf
from core.documents.statement import Statement, StatementEntry, StatementPart, statement_page
from core.testing import TestTenant
from tests.core.documents.sheets import document, line, pages_of, places_of

A4_WIDTH = 595.3


def made(pool: PdfPool, **changes: object) -> bytes:
    return pool.make(Job(document_page(document(**changes))))


def test_an_invoice_can_be_read(pool: PdfPool) -> None:
    (page,) = pages_of(made(pool))

    for text in ("Marlbeck Net Ltd", "Tarrow & Pike Architects Ltd", "Invoice 2026-047411", "€55.35", "IE29 AIBK"):
        assert text in page
    assert "Page 1 of 1" in page


def test_a_german_credit_note_can_be_read(pool: PdfPool) -> None:
    (page,) = pages_of(made(pool, kind=DocumentKind.CREDIT_NOTE, language="de", for_number="2026-000001", due_on=None))

    assert "Rechnungskorrektur 2026-047411" in page
    assert "Seite 1 von 1" in page


def test_the_same_document_is_the_same_file(pool: PdfPool) -> None:
    other = PdfPool(1)
    try:
        first = made(pool, lines=tuple(line(f"Line {number}") for number in range(30)))
        made(pool, language="de")
        again = made(pool, lines=tuple(line(f"Line {number}") for number in range(30)))
        elsewhere = made(other, lines=tuple(line(f"Line {number}") for number in range(30)))
    finally:
        other.close()

    assert first == again == elsewhere


def test_a_long_invoice_repeats_its_head_and_counts_its_pages(pool: PdfPool) -> None:
    lines = tuple(line(f"Service number {number}", detail=f"Detail {number}") for number in range(1, 51))

    pages = pages_of(made(pool, lines=lines))

    assert len(pages) == 4 or len(pages) == 3
    for number, page in enumerate(pages, 1):
        assert f"Page {number} of {len(pages)}" in page
        assert "Registered in Ireland" in page
    for page in pages[1:]:
        assert "Invoice 2026-047411" in page
    for page in pages[1:-1]:
        assert "Description" in page
    whole = "".join(pages)
    assert all(len(re.findall(rf"Service number {number}\b", whole)) == 1 for number in range(1, 51))


@pytest.mark.parametrize(
    ("language", "carried", "brought"), [("en", "Carried forward", "Brought forward"), ("de", "Übertrag", "Übertrag")]
)
def test_B11_sums_are_carried_from_page_to_page(pool: PdfPool, language: str, carried: str, brought: str) -> None:
    lines = tuple(line(f"Fibre {number}", 100_000) for number in range(60))
    pages = pages_of(pool.make(Job(document_page(document(lines=lines, language=language)))))

    assert len(pages) > 2
    done = 0
    for number, page in enumerate(pages):
        before, done = done, done + len(re.findall(r"Fibre \d+", page))
        brought_in = f"{brought} {before},000.00" if language == "en" else f"{brought} {before}.000,00"
        carried_on = f"{carried} {done},000.00" if language == "en" else f"{carried} {done}.000,00"
        assert (brought_in in page) == (number > 0)
        assert (carried_on in page) == (number < len(pages) - 1)
    assert carried not in pages_of(pool.make(Job(document_page(document(language=language)))))[0]


@pytest.mark.parametrize(
    ("language", "carried", "brought"), [("en", "Carried forward", "Brought forward"), ("de", "Übertrag", "Übertrag")]
)
def test_C17_the_balance_of_a_long_statement_is_carried_from_page_to_page(
    pool: PdfPool, language: str, carried: str, brought: str
) -> None:
    entries = tuple(
        StatementEntry(on=date(2026, 3, 1) + timedelta(days=at), text=f"Invoice No{at}.", amount_minor=100_000)
        for at in range(90)
    )
    sheet = document()
    statement = Statement(
        language=language,
        seller=sheet.seller,
        buyer=sheet.buyer,
        since=date(2026, 3, 1),
        until=date(2026, 6, 30),
        made_on=date(2026, 7, 1),
        parts=(
            StatementPart(currency="EUR", opening_minor=700_000, entries=entries),
            StatementPart(currency="USD", opening_minor=0, entries=entries[:1]),
        ),
    )

    pages = pages_of(pool.make(Job(statement_page(statement))))

    assert len(pages) > 2
    balance = 7
    for number, page in enumerate(pages):
        thousands = "," if language == "en" else "."
        before, balance = balance, balance + len(re.findall(r"No\d+\.", page))
        assert (f"{brought} {before}{thousands}000" in page) == (number > 0)
        last = number == len(pages) - 1
        assert (f"{carried} {balance}{thousands}000" in page) == (not last)


@pytest.mark.parametrize("entries", range(15, 20))
def test_C17_what_a_statement_comes_to_stands_on_the_page_of_its_sum(pool: PdfPool, entries: int) -> None:
    sheet, day = document(), date(2026, 3, 1)
    paid = StatementEntry(on=day, text="Payment", amount_minor=-100)
    statement = Statement(
        language="en",
        seller=sheet.seller,
        buyer=sheet.buyer,
        since=day,
        until=day,
        made_on=day,
        parts=(StatementPart(currency="EUR", opening_minor=0, entries=(paid,) * entries),),
    )

    pages = pages_of(pool.make(Job(statement_page(statement))))

    assert len(pages) <= 2
    (told,) = [page for page in pages if "Your credit" in page]
    assert "Total of the period" in re.sub(r"\s", " ", told)


def test_B11_a_pdf_can_be_kept_for_ever(pool: PdfPool) -> None:
    """PDF/A-3b as far as it can be seen without a validator: what ISO 19005-3 asks to be inside."""
    pdf = pool.make(Job(document_page(document())))
    parts = [pdf]
    for stream in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL):
        with contextlib.suppress(zlib.error):
            parts.append(zlib.decompress(stream))
    inside = b"\n".join(parts)

    assert b'pdfaid:part="3" pdfaid:conformance="B"' in inside
    assert b"/GTS_PDFA1" in inside
    assert b"DestOutputProfile" in inside
    fonts = set(re.findall(rb"/BaseFont /[A-Z]{6}\+([\w-]+)", inside))
    assert len(fonts) == 2
    assert inside.count(b"/FontFile2 ") + inside.count(b"/FontFile3 ") == len(fonts)
    assert b"/JavaScript" not in inside
    assert b"/Encrypt" not in inside


def test_a_line_is_never_split_and_totals_stay_together(pool: PdfPool) -> None:
    for count in range(11, 19):
        lines = tuple(line(f"Service {number}", detail=f"Detail-{number}.") for number in range(1, count))
        pages = pages_of(made(pool, lines=lines))
        for number in range(1, count):
            assert [f"Service {number}\n" in page for page in pages] == [f"Detail-{number}." in page for page in pages]
        ends = [page for page in pages if "To pay, EUR" in page]
        assert len(ends) == 1
        assert "IE29 AIBK" in ends[0]


def test_totals_never_stand_on_a_page_without_a_line(pool: PdfPool) -> None:
    for count in range(9, 24):
        detail = "A long text of what was done, " * (count % 4)
        lines = tuple(line(f"Service {number}", detail=detail) for number in range(1, count))
        pages = pages_of(made(pool, lines=lines))
        (end,) = [page for page in pages if "To pay, EUR" in page]
        assert f"Service {count - 1}\n" in end, count
        assert ("Brought forward" in end) == (len(pages) > 1), count


def test_nothing_reaches_over_the_edge_however_long_the_words(pool: PdfPool) -> None:
    long = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft" * 2
    pdf = made(
        pool,
        lines=(line(long, detail="SN-" + "8" * 150, amount_minor=99_999_999_999, unit="Quarterofanhourstarted"),),
        total_minor=99_999_999_999,
        seller=Seller(name=long, legal_name="M" * 150, address=(long,), legal_line="L" * 300),
    )

    opened = pypdfium2.PdfDocument(pdf)
    for page in opened:
        text = page.get_textpage()
        rights = [
            text.get_charbox(index)[2] for index in range(text.count_chars()) if text.get_text_range(index, 1).strip()
        ]
        assert max(rights) <= A4_WIDTH - 18 * 72 / 25.4 + 2
    opened.close()


@pytest.mark.parametrize("kind", ["invoice", "statement"])
def test_B11_a_long_address_or_order_is_printed_whole_above_the_heading(pool: PdfPool, kind: str) -> None:
    buyer = Buyer(
        name="Gesellschaft für angewandte Telekommunikations- und Breitbandversorgung im nördlichen Land mbH & Co. KG",
        address=tuple(f"{at}. Hinterhaus, bei Familie Petersen-Nikolaisen, vierter Stock rechts" for at in range(7)),
        customer_number="7",
        vat_id="DE999999999",
        order=" ".join(f"Zeichen {at}" for at in range(40)),
    )
    sheet = document(buyer=buyer, for_number="2026-000001", tax_date=date(2026, 11, 30))
    part = StatementPart(currency="EUR", opening_minor=0, entries=())
    day = date(2026, 12, 1)
    page = (
        document_page(sheet)
        if kind == "invoice"
        else statement_page(
            Statement(language="en", seller=sheet.seller, buyer=buyer, since=day, until=day, made_on=day, parts=(part,))
        )
    )

    pdf = pool.make(Job(page))

    heading = places_of(pdf, 0, "Invoice 2026-047411" if kind == "invoice" else "Statement of account")[0]
    above = [places_of(pdf, 0, text)[0] for text in ("6. Hinterhaus", *(["Zeichen 39"] if kind == "invoice" else []))]
    assert all(bottom > heading[3] for _, bottom, _, _ in above)


def test_columns_of_figures_do_not_run_into_each_other(pool: PdfPool) -> None:
    pdf = made(pool, lines=(line(amount_minor=99_999_999_999, quantity=10**6),))

    (price, amount) = sorted(places_of(pdf, 0, "999,999,999.99"))[:2]

    assert price[2] + 4 < amount[0]


def test_names_of_many_scripts_are_printed_with_letters(pool: PdfPool) -> None:
    from core.documents.model import Buyer

    names = "Łukasz Żółć, Ελένη Παπαδοπούλου, Юлія Гнатюк, Nguyễn Thị Hạnh, Siobhán Ní Shúilleabháin"

    (page,) = pages_of(made(pool, buyer=Buyer(name=names, address=("x",))))

    flat = page.replace("\n", " ")
    for name in names.split(", "):
        assert name in flat


def test_a_draft_is_marked_on_every_page(pool: PdfPool) -> None:
    pages = pages_of(made(pool, number=None, lines=tuple(line() for _ in range(30))))

    assert len(pages) > 1
    assert all("Draft" in page for page in pages)
    assert all("Draft\n" in f"{page}\n" for page in pages[1:])


def test_markup_in_what_people_type_stays_text(pool: PdfPool) -> None:
    html = document_page(document(lines=(line("<img src=x onerror=alert(1)> & <b>bold</b>"),)))

    assert "<img" not in html
    assert "<img src=x onerror=alert(1)>" in pages_of(pool.make(Job(html)))[0].replace("\n", " ")


def test_the_logo_that_is_given_is_printed(pool: PdfPool) -> None:
    picture = BytesIO()
    Image.new("RGB", (200, 80), (200, 30, 30)).save(picture, "PNG")
    seller = document().seller
    with_logo = Seller(name=seller.name, legal_name=seller.legal_name, address=seller.address, logo="logo.png")

    pdf = pool.make(Job(document_page(document(seller=with_logo)), assets={"logo.png": picture.getvalue()}))

    drawn = pypdfium2.PdfDocument(pdf)[0].render(scale=1).to_pil().convert("RGB")
    left, top = round(22 * 72 / 25.4) + 8, round(18 * 72 / 25.4) + 17
    assert drawn.getpixel((left, top)) == (200, 30, 30)


def test_the_code_for_the_transfer_is_black_on_white_and_30_mm_wide(pool: PdfPool) -> None:
    pdf = made(pool)
    heading = places_of(pdf, 0, "Pay €55.35")[0]
    dots = pypdfium2.PdfDocument(pdf)[0].render(scale=4).to_pil().convert("L")
    left, right = round(22 * 72 / 25.4 * 4), round(heading[0] * 4) - 8
    top = dots.height - round((heading[3] + 20) * 4)
    area = dots.crop((left + 30, top, right, top + 480))
    box = area.point(lambda value: 255 if value < 60 else 0).getbbox()

    assert box is not None
    assert abs((box[2] - box[0]) / 4 - 30 * 72 / 25.4) < 1.5


@pytest.mark.anyio
async def test_documents_are_made_from_any_loop_and_at_the_same_time() -> None:
    sheets = [document(number=f"2026-{number:06}") for number in range(6)]

    pdfs = await asyncio.gather(*(document_pdf(sheet) for sheet in sheets))
    close_pdf_pool()

    for sheet, pdf in zip(sheets, pdfs, strict=True):
        assert f"Invoice {sheet.number}" in pages_of(pdf)[0]


@pytest.mark.anyio
@pytest.mark.parametrize("tenant", ["sqlite"], indirect=True)
async def test_no_pdf_is_made_inside_a_unit_of_work(tenant: TestTenant) -> None:
    async def call() -> None:
        async with unit_of_work(tenant.scope()):
            await document_pdf(document())

    with pytest.raises(InsideUnit):
        await call()
