"""What the domain refuses, and the status it is answered with."""

from __future__ import annotations

import pytest

from core.errors import (
    Conflict,
    DomainError,
    FieldError,
    Forbidden,
    Invalid,
    NotFound,
    Stale,
    TooMany,
    TryAgain,
    Unauthenticated,
    Unavailable,
)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (NotFound("customer 7"), 404, "not_found"),
        (Unauthenticated(), 401, "unauthenticated"),
        (Forbidden("You may not."), 403, "forbidden"),
        (Conflict("It is ended."), 409, "conflict"),
        (Stale(), 409, "stale"),
        (Invalid("Too long.", field="name"), 422, "invalid"),
        (TooMany(), 429, "too_many"),
        (Unavailable(), 503, "unavailable"),
    ],
)
def test_each_refusal_has_its_status_and_its_code(error: DomainError, status: int, code: str) -> None:
    assert (error.status, error.code) == (status, code)
    assert error.message == str(error) != ""


def test_a_feature_s_own_refusal_takes_its_code_from_its_name() -> None:
    class InvoiceHasPDFAlready(Conflict):
        """It is stored."""

    assert (InvoiceHasPDFAlready.code, InvoiceHasPDFAlready("It is stored.").status) == ("invoice_has_pdf_already", 409)


def test_out_of_reach_and_not_existing_say_the_same() -> None:
    assert NotFound("customer 7 of another reseller").message == NotFound("customer 8").message == NotFound().message
    assert "7" not in str(NotFound("customer 7"))
    assert NotFound("customer 7").what == "customer 7"


def test_bad_input_names_its_field() -> None:
    error = Invalid("This is no e-mail address.", field="email")

    assert error.errors == (FieldError("email", "This is no e-mail address."),)
    assert error.message == "This is no e-mail address."


def test_bad_input_of_several_fields_names_them_all() -> None:
    error = Invalid(
        errors=[FieldError("email", "Taken."), FieldError("name", "Missing."), FieldError("email", "Long.")]
    )

    assert error.message == "Please correct email and name."
    assert [e.field for e in error.errors] == ["email", "name", "email"]


def test_one_field_s_error_is_the_message() -> None:
    assert Invalid(errors=[FieldError("email", "Taken.")]).message == "Taken."


def test_bad_input_as_a_whole_names_no_field() -> None:
    error = Invalid("The file is empty.")

    assert (error.message, error.errors) == ("The file is empty.", ())


def test_bad_input_without_a_reason_cannot_be_said() -> None:
    with pytest.raises(ValueError, match="needs a message"):
        Invalid()


def test_a_lost_race_shows_both_versions() -> None:
    error = Stale(fields={"city": ("Ulm", "Bonn")})

    assert error.fields == {"city": ("Ulm", "Bonn")}
    assert Stale().fields == {}
    assert isinstance(error, Conflict)


def test_a_wait_is_told_in_seconds() -> None:
    assert TooMany(retry_after=30).retry_after == 30
    assert Unavailable(retry_after=2).retry_after == 2


def test_trying_again_is_no_refusal() -> None:
    assert not issubclass(TryAgain, DomainError)
