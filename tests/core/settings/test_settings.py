from dataclasses import replace
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, ClassVar, Literal

import pytest
from cryptography.fernet import Fernet
from msgspec import Meta, Struct

from core.activity import queries
from core.config import Keys
from core.database import value
from core.errors import Invalid
from core.scope import Scope
from core.settings.actions import rotate_sealed, save_form, save_settings
from core.settings.fields import LongText, Secret, describe, settings_key
from core.settings.queries import SealedSettings, form_values, load_settings


class Safety(StrEnum):
    NONE = "none"
    START_TLS = "start_tls"


class MailSettings(Struct, frozen=True):
    SETTINGS_KEY: ClassVar[str] = "mail"

    host: Annotated[str, Meta(title="Server", description="Name of the mail server.", max_length=100)] = ""
    port: Annotated[int, Meta(ge=1, le=65535)] = 587
    password: Secret = ""
    safety: Safety = Safety.START_TLS
    copies: bool = False
    footer: LongText = ""
    fee: Decimal = Decimal("0.5")
    since: date | None = None
    days: list[Literal["mon", "tue"]] = []
    hosts: tuple[str, ...] = ()


TYPED = {"host": "mail.example", "port": "25", "safety": "none", "fee": "1.25"}


def test_a_form_is_made_from_the_struct() -> None:
    fields = {spec.name: spec for spec in describe(MailSettings)}

    assert [spec.kind for spec in fields.values()] == [
        "text",
        "integer",
        "secret",
        "choice",
        "switch",
        "long",
        "decimal",
        "date",
        "choices",
        "list",
    ]
    assert (fields["host"].label, fields["host"].help) == ("Server", "Name of the mail server.")
    assert (fields["host"].max_length, fields["host"].required) == (100, False)
    assert (fields["port"].min, fields["port"].max, fields["port"].required) == (1, 65535, True)
    assert fields["safety"].choices == (("none", "None"), ("start_tls", "Start tls"))
    assert fields["since"].required is False


def test_what_no_form_could_take_is_refused_when_the_feature_is_loaded() -> None:
    class Lacking(Struct, frozen=True):
        host: str

    class Strange(Struct, frozen=True):
        table: dict[str, str] = {}

    with pytest.raises(TypeError, match=r"Lacking\.host needs a default"):
        describe(Lacking)
    with pytest.raises(TypeError, match=r"Strange\.table: no form has a field"):
        describe(Strange)


def test_settings_are_kept_under_the_name_of_their_feature_or_plugin() -> None:
    class Named(Struct, frozen=True):
        SETTINGS_KEY: ClassVar[str] = "by_name"

    MapsSettings = type("MapsSettings", (Struct,), {"__module__": "plugins.maps.settings"})
    CompanySettings = type("CompanySettings", (Struct,), {"__module__": "core.settings.company"})

    assert [settings_key(struct) for struct in (Named, MapsSettings, CompanySettings)] == [
        "by_name",
        "maps.maps",
        "company",
    ]


async def test_where_nothing_is_stored_the_defaults_hold(scope: Scope) -> None:
    assert await load_settings(MailSettings) == MailSettings()


async def test_saved_settings_come_back_as_they_were(scope: Scope) -> None:
    settings = MailSettings(
        host="mail.example",
        password="s3cret",
        safety=Safety.NONE,
        fee=Decimal("1.10"),
        since=date(2027, 1, 31),
        days=["tue"],
        hosts=("a.example", "b.example"),
    )

    await save_settings(scope, settings)

    assert await load_settings(MailSettings, scope.keys) == settings


async def test_a_secret_is_sealed_in_the_database_and_shown_nowhere(scope: Scope) -> None:
    await save_settings(scope, MailSettings(password="s3cret"))

    stored = await value("SELECT value FROM setting WHERE key = 'mail'")
    (line,) = await queries.timeline(scope)
    assert "s3cret" not in stored
    assert [(change.field, change.old, change.new) for change in line.changes] == [("password", None, "•••")]
    assert (await form_values(MailSettings))["password"] is True
    with pytest.raises(SealedSettings):
        await load_settings(MailSettings)


async def test_a_change_stands_in_the_activity_and_no_change_does_not(scope: Scope) -> None:
    await save_settings(scope, MailSettings(host="mail.example", days=["mon", "tue"]))
    await save_settings(scope, MailSettings(host="mail.example", days=["mon", "tue"]))

    (line,) = await queries.timeline(scope)
    assert (line.kind, line.facts) == ("settings_changed", {"key": "mail"})
    assert [(change.field, change.old, change.new) for change in line.changes] == [
        ("days", "", "mon, tue"),
        ("host", "", "mail.example"),
    ]


async def test_a_form_is_parsed_and_saved(scope: Scope) -> None:
    saved = await save_form(
        scope,
        MailSettings,
        {**TYPED, "copies": "on", "since": "2027-01-31", "days": ["mon", "tue"], "hosts": "a.example\nb.example\n"},
    )

    assert saved == await load_settings(MailSettings, scope.keys)
    assert (saved.port, saved.copies, saved.fee, saved.since) == (25, True, Decimal("1.25"), date(2027, 1, 31))
    assert (saved.days, saved.hosts) == (["mon", "tue"], ("a.example", "b.example"))


async def test_a_secret_left_empty_stays_and_is_emptied_only_when_asked(scope: Scope) -> None:
    await save_form(scope, MailSettings, {**TYPED, "password": "s3cret"})

    await save_form(scope, MailSettings, {**TYPED, "password": ""})
    kept = await load_settings(MailSettings, scope.keys)
    await save_form(scope, MailSettings, {**TYPED, "password": "", "clear_password": "on"})
    emptied = await load_settings(MailSettings)

    assert (kept.password, emptied.password) == ("s3cret", "")


@pytest.mark.parametrize(
    ("typed", "field", "message"),
    [
        ({"port": "0"}, "port", "Use 1 or more."),
        ({"port": "70000"}, "port", "Use 65535 or less."),
        ({"port": "many"}, "port", "Use a whole number."),
        ({"port": ""}, "port", "This cannot be left empty."),
        ({"fee": "much"}, "fee", "Use a number."),
        ({"safety": "some"}, "safety", "Choose one of the list."),
        ({"since": "31.01.2027"}, "since", "Use a date such as 2027-01-31."),
        ({"days": ["sun"]}, "days", "Choose one of the list."),
        ({"host": "x" * 101}, "host", "Use at most 100 characters."),
        ({"hidden": "1"}, "hidden", "There is no such setting."),
    ],
)
async def test_what_does_not_fit_names_the_field_and_changes_nothing(
    scope: Scope, typed: dict[str, str | list[str]], field: str, message: str
) -> None:
    with pytest.raises(Invalid) as refused:
        await save_form(scope, MailSettings, {**TYPED, **typed})

    assert [(error.field, error.message) for error in refused.value.errors] == [(field, message)]
    assert await load_settings(MailSettings) == MailSettings()


async def test_every_wrong_field_is_named_at_once(scope: Scope) -> None:
    with pytest.raises(Invalid) as refused:
        await save_form(scope, MailSettings, {**TYPED, "port": "0", "fee": "x"})

    assert {error.field for error in refused.value.errors} == {"port", "fee"}


async def test_after_a_new_key_secrets_are_sealed_again_and_the_old_one_can_go(scope: Scope) -> None:
    first, second = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    await save_settings(replace(scope, keys=Keys({"first": first})), MailSettings(password="s3cret"))
    both = replace(scope, keys=Keys({"second": second, "first": first}))

    assert [await rotate_sealed(both), await rotate_sealed(both)] == [1, 0]

    assert (await load_settings(MailSettings, Keys({"second": second}))).password == "s3cret"
