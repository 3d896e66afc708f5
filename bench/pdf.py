"""Invoices as PDF, through the workers and by WeasyPrint alone, in the same run.

The anchor is WeasyPrint as fast as it can be had: in a process that does nothing else, warm, its font configuration and
style sheet shared by all documents, without limits, pipes or a server. Each is measured with as many processes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal
from typing import Final

from bench.harness import Options, Row, at_least, at_least_share
from core.documents.frames import Job
from core.documents.model import BankAccount, Buyer, Document, DocumentKind, Line, Seller, TaxLine
from core.documents.pdf import STATIC, PdfPool
from core.documents.sheet import document_page

LINES: Final = (3, 17)
DOCUMENTS: Final = 40
ROUNDS: Final = 4

BARE: Final = """
import sys, time
from pathlib import Path
from weasyprint import CSS, HTML
from weasyprint.text.fonts import FontConfiguration
fonts = FontConfiguration()
sheet = CSS(filename=Path(sys.argv[1]) / "document.css", font_config=fonts)
while size := sys.stdin.buffer.readline():
    page = sys.stdin.buffer.read(int(size)).decode()
    began = time.perf_counter()
    HTML(string=page).write_pdf(stylesheets=[sheet], font_config=fonts)
    print(time.perf_counter() - began, flush=True)
"""


async def run(options: Options) -> list[Row]:
    count = options.sizes[0] if options.sizes else DOCUMENTS
    cores = len(os.sched_getaffinity(0))
    rows: list[Row] = []
    for lines in LINES:
        pages = [document_page(_invoice(number, lines)) for number in range(count)]
        what = f"invoice of {lines} lines"
        options.say(f"{what}, one at a time")
        bare, pooled = _one_at_a_time(pages)
        rows.append(at_least_share(f"{what}, one worker", "", pooled, "a second", bare, 0.8))
        if lines == LINES[0]:
            rows.append(at_least(f"{what}, one worker: the aim", "", pooled, "a second", 10))
        options.say(f"{what}, {cores} at a time")
        bare, pooled = _together(pages, cores)
        rows.append(at_least_share(f"{what}, {cores} workers", "", pooled, "a second", bare, 0.8))
    return rows


class Bare:
    """A process with WeasyPrint and nothing else."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", BARE, str(STATIC)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "MALLOC_ARENA_MAX": "1"},
        )

    def make(self, page: str) -> float:
        """Seconds that it says it took, without the pipe."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        data = page.encode()
        self._process.stdin.write(b"%d\n" % len(data) + data)
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate()


def _one_at_a_time(pages: list[str]) -> tuple[float, float]:
    """Documents a second of both, page by page in turns, each page at its best: whatever else the machine does then
    slows both alike."""
    bare, pool = Bare(), PdfPool(1)
    best = [[float("inf"), float("inf")] for _ in pages]
    try:
        for turn in range(ROUNDS + 1):
            for page, seconds in zip(pages, best, strict=True):
                alone = bare.make(page)
                began = time.perf_counter()
                pool.make(Job(page))
                ours = time.perf_counter() - began
                if turn:  # the first round is for warming up
                    seconds[:] = min(seconds[0], alone), min(seconds[1], ours)
    finally:
        bare.close()
        pool.close()
    return len(pages) / sum(seconds[0] for seconds in best), len(pages) / sum(seconds[1] for seconds in best)


def _together(pages: list[str], size: int) -> tuple[float, float]:
    """Documents a second of both by so many processes at once; the best of several rounds, in turns."""
    alone, pool = [Bare() for _ in range(size)], PdfPool(size)
    shares = [pages[start::size] for start in range(size)]
    bare = pooled = 0.0
    try:
        pool.warm_up()
        with ThreadPoolExecutor(size) as threads:
            for turn in range(ROUNDS + 1):
                began = time.perf_counter()
                list(threads.map(lambda each: [*map(each[0].make, each[1])], zip(alone, shares, strict=True)))
                between = time.perf_counter()
                list(threads.map(lambda page: pool.make(Job(page)), pages))
                ended = time.perf_counter()
                if turn:
                    bare = max(bare, len(pages) / (between - began))
                    pooled = max(pooled, len(pages) / (ended - between))
    finally:
        for one in alone:
            one.close()
        pool.close()
    return bare, pooled


def _invoice(number: int, lines: int) -> Document:
    amounts = [4500 + 100 * (number + line) % 9000 for line in range(lines)]
    net = sum(amounts)
    tax = net * 23 // 100
    return Document(
        kind=DocumentKind.INVOICE,
        language="en",
        currency="EUR",
        number=f"2026-{number:06}",
        issued_on=date(2026, 12, 1),
        due_on=date(2026, 12, 31),
        seller=Seller(
            name="Marlbeck Net",
            legal_name="Marlbeck Net Ltd",
            address=("2 Chandlers Lane", "V95 A1N0 Marlbeck"),
            legal_line="Registered in Ireland 000000 · VAT id IE0000000A",
            contact="Questions? 065 555 0100 or accounts@marlbeck.example.",
        ),
        buyer=Buyer(
            name=f"Customer Number {number}",
            address=("4 Harbour Row", "V95 K2R7 Marlbeck"),
            customer_number=str(number),
        ),
        lines=tuple(
            Line(
                text=f"Fibre {100 * (line + 1)}",
                detail=f"Line MB-HAR-{line:05}",
                period=(date(2026, 11, 1), date(2026, 12, 1)),
                unit="Month",
                unit_price=Decimal(amount).scaleb(-2),
                tax_ppm=230_000,
                amount_minor=amount,
            )
            for line, amount in enumerate(amounts)
        ),
        taxes=(TaxLine(tax_ppm=230_000, net_minor=net, tax_minor=tax),),
        net_minor=net,
        tax_minor=tax,
        total_minor=net + tax,
        account=BankAccount(holder="Marlbeck Net Ltd", iban="IE29AIBK93115212345678"),
    )
