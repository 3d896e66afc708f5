"""A document as a page: the one template that the screen and the PDF share."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from core.documents.model import view_of
from core.documents.pdf import render_pdf

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.documents.model import Document


LOGOS: Final = "/documents/logos/"
"""Where logos stand for the screen; in a PDF they are inside."""


def document_page(document: Document, *, css: str = "") -> str:
    """The whole page. `css` is the address of the style sheet on a screen (`asset("document.css")`); the PDF's workers
    have it already.
    """
    logos = LOGOS if css and not document.seller.logo.startswith(("/", "http")) else ""
    return templates().get_template("invoice.html").render(view=view_of(document), css=css, logos=logos)


async def document_pdf(document: Document, *, assets: Mapping[str, bytes] | None = None) -> bytes:
    """The PDF. `assets` holds the logo under the name that the document's seller gives it. PdfFailed says why not."""
    return await render_pdf(document_page(document), assets=assets)


@lru_cache(maxsize=1)
def templates() -> Environment:
    """The templates of documents; a value that is missing is an error."""
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
