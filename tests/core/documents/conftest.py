"""Workers that are shared by the tests of documents: they take a second to start."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from core.documents.pdf import PdfPool


@pytest.fixture(scope="session")
def pool() -> Iterator[PdfPool]:
    made = PdfPool(1)
    yield made
    made.close()
