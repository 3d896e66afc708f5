"""Promises and proofs: rows of docs/features.md have tests of their names, and no test names another."""

from tenants.generated import generated_pages, promised, proofs, proofs_markdown


def test_no_test_names_a_row_that_is_not_promised() -> None:
    assert set(proofs()) <= set(promised())


def test_every_promise_has_a_test_of_its_name() -> None:
    assert set(promised()) - set(proofs()) == set()


def test_the_page_of_proofs_is_among_those_that_are_written() -> None:
    written = {path.name: text for path, text in generated_pages().items()}

    assert written["proofs.md"] == proofs_markdown()
    assert "## L7: Create and import customers" in written["proofs.md"]
    assert "columns matched by hand are so in the next file" in written["proofs.md"]
