"""What is wrong with a file is told in the language of whoever imports it, wherever it was found out."""

from collections.abc import Callable
from datetime import date

import msgspec
import pytest

from core.customers.addresses import check_emails
from core.customers.explaining import KNOWN, NAMING, explained, explained_within
from core.customers.importing.profiles import Mapping, lay_out
from core.customers.importing.records import Context
from core.customers.importing.validating import Slice, unpack_rows, validate, validate_packed
from core.customers.importing.values import a_date, email, vat_id
from core.errors import FieldError
from core.lists.reading import Record
from core.texts import speaking

HEADERS = ("Name", "E-Mail", "Land", "Kunde seit")
CONTEXT = Context(country="DE", currency="EUR", locale="de", today=date(2026, 11, 22), spoken="de")
RECORD = Record(1, 2, ("Anna Weiß", "anna", "Atlantis", "30.02.2025"))


def told_in(language: str, how: Callable[[], object]) -> str:
    with speaking(language), pytest.raises(ValueError) as wrong:
        how()
    return str(wrong.value)


def test_a_record_is_judged_in_german() -> None:
    row = validate(lay_out(HEADERS, Mapping()), CONTEXT, [RECORD])[0]
    assert [found.message for found in row.errors] == [
        "Den 30. Februar 2025 gibt es nicht.",
        "„Atlantis“ ist kein Land. Schreiben Sie den Namen oder zwei Buchstaben wie DE.",
        "„anna“ ist keine E-Mail-Adresse. Eine E-Mail-Adresse hat ein @.",
    ]


def test_a_process_that_validates_tells_it_in_the_same_language() -> None:
    layout = lay_out(HEADERS, Mapping())
    packed = msgspec.msgpack.encode(Slice(layout, CONTEXT, [RECORD]))
    assert unpack_rows(validate_packed(packed)) == validate(layout, CONTEXT, [RECORD])


def test_english_is_told_as_the_libraries_say_it() -> None:
    assert told_in("en", lambda: email("a b@c.de")) == (
        "“a b@c.de” is no e-mail address. The email address contains invalid characters before the @-sign: SPACE."
    )
    assert told_in("en", lambda: vat_id("DE123")) == "“DE123” is no VAT id of DE: the number has an invalid length."
    assert told_in("en", lambda: a_date("30.02.2025", "any", "DE")) == "There is no 30 February 2025."


def test_what_libraries_say_is_told_in_german_too() -> None:
    assert told_in("de", lambda: email("a b@c.de")) == (
        "„a b@c.de“ ist keine E-Mail-Adresse. Vor dem @ stehen Zeichen, die dort nicht stehen dürfen: SPACE."
    )
    assert told_in("de", lambda: vat_id("DE123")) == (
        "„DE123“ ist keine USt-IdNr. von DE: Die Nummer hat nicht die richtige Länge."
    )
    errors: list[FieldError] = []
    with speaking("de"):
        assert check_emails(["anna@b..de"], "emails", errors) == []
    assert errors[0].message == (
        "„anna@b..de“ ist keine E-Mail-Adresse: Eine E-Mail-Adresse hat keine zwei Punkte hintereinander."
    )


def test_a_sentence_without_a_translation_is_not_told_in_english_among_german() -> None:
    with speaking("de"):
        assert explained(ValueError("The moon is full.")) == "Die Schreibweise stimmt nicht."
    assert explained(ValueError("The moon is full.")) == "The moon is full."
    assert explained_within(ValueError("The moon is full.")) == "the moon is full."


@pytest.mark.parametrize("sentence", sorted([*KNOWN, *(f"{head}: X." for head in NAMING)]))
def test_each_known_sentence_has_its_german(sentence: str) -> None:
    with speaking("de"):
        assert explained(ValueError(sentence)) not in {sentence, explained(ValueError("The moon is full."))}
