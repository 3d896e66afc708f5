"""What customer pages and the API take and give.

A section is a struct of the fields that are edited and saved together. Lists of addresses are lists in the API and one
text with commas in a form.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from core.ids import Id
from core.money import MOST_MINOR

LOGIN_LENGTH: Final = 100
STREET_LENGTH: Final = 300
TAG_LENGTH: Final = 60
"""Characters, typed or imported: what came with an import can be saved again."""

Text = Annotated[str, Meta(max_length=200)]
ShortText = Annotated[str, Meta(max_length=60)]
LoginName = Annotated[str, Meta(max_length=LOGIN_LENGTH)]
Street = Annotated[str, Meta(max_length=STREET_LENGTH)]
PersonName = Annotated[str, Meta(max_length=100)]
FullName = Annotated[str, Meta(min_length=1, max_length=200)]
Addresses = Annotated[list[Annotated[str, Meta(max_length=254)]], Meta(max_length=20)]
Days = Annotated[int, Meta(ge=0, le=365)]
Balance = Annotated[int, Meta(ge=-MOST_MINOR, le=MOST_MINOR)]
BillingDay = Annotated[int, Meta(ge=1, le=31)]
Currency = Annotated[str, Meta(max_length=3)]
Reference = Annotated[str, Meta(max_length=100)]
Latitude = Annotated[float, Meta(ge=-90, le=90)]
Longitude = Annotated[float, Meta(ge=-180, le=180)]
CustomerKind = Literal["person", "company"]
BillingType = Literal["recurring", "prepaid"]
TaxProfile = Literal["standard", "reverse_charge", "exempt", "outside"]
SendBy = Literal["email", "post", "none"]


class MainData(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The section "Main data". Without a day or a currency it keeps what it has."""

    kind: CustomerKind = "person"
    full_name: FullName
    company: Text = ""
    login: LoginName = ""
    emails: Addresses = []
    billing_emails: Addresses = []
    phones: Addresses = []
    joined_on: date | None = None
    location_id: Id | None = None
    billing_type: BillingType = "recurring"
    currency: Currency = ""
    language: ShortText = ""
    time_zone: ShortText = ""
    external_ref: Reference = ""


class AddressData(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The section "Address"."""

    street: Street = ""
    country: ShortText = ""
    zip: ShortText = ""
    city: Text = ""
    lat: Latitude | None = None
    lon: Longitude | None = None


class BillingData(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The section "Billing settings"; without terms it is as the tenant's settings say.

    Down to the minimum balance, in minor units of the customer's currency, what is prepaid is renewed and dunning
    blocks nobody: below 0 it is a credit limit.
    """

    billing_day: BillingDay | None = None
    terms_days: Days | None = None
    grace_days: Days | None = None
    minimum_balance_minor: Balance = 0
    never_block: bool = False
    send_by: SendBy = "email"
    tax_profile: TaxProfile = "standard"
    tax_reason: Text = ""
    vat_id: ShortText = ""


Section = MainData | AddressData | BillingData


class NewCustomer(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A new customer: main data and address; the rest can wait."""

    kind: CustomerKind = "person"
    full_name: FullName
    company: Text = ""
    login: LoginName = ""
    emails: Addresses = []
    billing_emails: Addresses = []
    phones: Addresses = []
    street: Street = ""
    zip: ShortText = ""
    city: Text = ""
    country: ShortText = ""
    currency: Currency = ""
    joined_on: date | None = None
    external_ref: Reference = ""


class MainPatch(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Fields of the section "Main data"; those left out stay as they are."""

    kind: CustomerKind | UnsetType = UNSET
    full_name: FullName | UnsetType = UNSET
    company: Text | UnsetType = UNSET
    login: LoginName | UnsetType = UNSET
    emails: Addresses | UnsetType = UNSET
    billing_emails: Addresses | UnsetType = UNSET
    phones: Addresses | UnsetType = UNSET
    joined_on: date | UnsetType = UNSET
    location_id: Id | UnsetType | None = UNSET
    billing_type: BillingType | UnsetType = UNSET
    currency: Currency | UnsetType = UNSET
    language: ShortText | UnsetType = UNSET
    time_zone: ShortText | UnsetType = UNSET
    external_ref: Reference | UnsetType = UNSET


class AddressPatch(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Fields of the section "Address"; those left out stay as they are."""

    street: Street | UnsetType = UNSET
    country: ShortText | UnsetType = UNSET
    zip: ShortText | UnsetType = UNSET
    city: Text | UnsetType = UNSET
    lat: Latitude | UnsetType | None = UNSET
    lon: Longitude | UnsetType | None = UNSET


class BillingPatch(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Fields of the section "Billing settings"; those left out stay as they are."""

    billing_day: BillingDay | UnsetType | None = UNSET
    terms_days: Days | UnsetType | None = UNSET
    grace_days: Days | UnsetType | None = UNSET
    minimum_balance_minor: Balance | UnsetType = UNSET
    never_block: bool | UnsetType = UNSET
    send_by: SendBy | UnsetType = UNSET
    tax_profile: TaxProfile | UnsetType = UNSET
    tax_reason: Text | UnsetType = UNSET
    vat_id: ShortText | UnsetType = UNSET


class CustomerChange(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True, omit_defaults=True):
    """What the API changes: the fields that are given, all or none, against the version that was read.

    That stands in `version`, or in `If-Match`.
    """

    version: Annotated[int, Meta(ge=1)] | None = None
    main: MainPatch | None = None
    address: AddressPatch | None = None
    billing: BillingPatch | None = None


class StatusChange(Struct, forbid_unknown_fields=True, frozen=True):
    """Another status: at once, or `on` a day to come. `reason` is kept in the activity. With `plan`, the fingerprint of
    a plan that was looked at, exactly that is done or nothing."""

    status: ShortText
    reason: Annotated[str, Meta(max_length=500)] = ""
    on: date | None = None
    plan: Annotated[str, Meta(max_length=64)] | None = None


ChangeEmail = Literal["confirmed", "now"]
NoteText = Annotated[str, Meta(min_length=1, max_length=10_000)]


class NewNote(Struct, forbid_unknown_fields=True, frozen=True):
    text: NoteText
    pinned: bool = False


class NoteChange(Struct, forbid_unknown_fields=True, frozen=True):
    """Other words, against the version that was read."""

    text: NoteText
    version: Annotated[int, Meta(ge=1)]


class NotePinning(Struct, forbid_unknown_fields=True, frozen=True):
    pinned: bool


class NewTag(Struct, forbid_unknown_fields=True, frozen=True):
    name: Annotated[str, Meta(min_length=1, max_length=TAG_LENGTH)]


Colour = Annotated[int, Meta(ge=1, le=6)]


class TagFields(Struct, forbid_unknown_fields=True, frozen=True):
    """A tag: its name, and one of six colours; none keeps what it has, or takes the next one."""

    name: Annotated[str, Meta(min_length=1, max_length=TAG_LENGTH)]
    colour: Colour | None = None


class LocationFields(Struct, forbid_unknown_fields=True, frozen=True):
    name: Annotated[str, Meta(min_length=1, max_length=100)]


class MergeInto(Struct, forbid_unknown_fields=True, frozen=True):
    """Which one stays."""

    into: Id


class HierarchyFields(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Who stands above a customer, and who pays for it: itself where `payer_id` is left out."""

    parent_id: Id | None = None
    payer_id: Id | None = None


class HierarchyChange(HierarchyFields, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The same, against the version of the customer that was read."""

    version: Annotated[int, Meta(ge=1)]


class UserFields(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """All that can be edited of a user: a person of the customer who may log in to the portal."""

    salutation: ShortText = ""
    first_name: PersonName = ""
    surname: PersonName = ""
    email: Annotated[str, Meta(min_length=1, max_length=254)]


class ContactFields(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A person of the customer without a log-in, and which of its documents that person gets by e-mail."""

    salutation: ShortText = ""
    first_name: PersonName = ""
    surname: PersonName = ""
    role: PersonName = ""
    email: Annotated[str, Meta(max_length=254)] = ""
    phone: ShortText = ""
    note: Annotated[str, Meta(max_length=2000)] = ""
    gets_invoices: bool = False
    gets_reminders: bool = False
    gets_statements: bool = False


class UserChange(UserFields, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A user against the version that was read. A new e-mail counts once it is confirmed at the new address, or now."""

    version: Annotated[int, Meta(ge=1)]
    change_email: ChangeEmail = "confirmed"


class ContactChange(ContactFields, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A contact against the version that was read."""

    version: Annotated[int, Meta(ge=1)]


class ContactRow(Struct, frozen=True):
    """A user or a contact as it stands in its row."""

    id: int
    is_user: bool
    salutation: str
    first_name: str
    surname: str
    email: str
    phone: str
    role: str
    note: str
    gets_invoices: bool
    gets_reminders: bool
    gets_statements: bool
    version: int
    pending_email: str | None = None
    """A new one that is not confirmed yet, and when it was asked for."""
    pending_since: datetime | None = None

    @property
    def name(self) -> str:
        return " ".join(part for part in (self.salutation, self.first_name, self.surname) if part) or self.email


class UserItem(Struct, frozen=True):
    """A user over JSON. `pending_email` is a new one that is not confirmed yet."""

    id: int
    salutation: str
    first_name: str
    surname: str
    email: str
    version: int
    pending_email: str | None
    pending_since: datetime | None


class MailEmailChange(Struct, frozen=True):
    """What the job that mails a link is about."""

    change_id: int


class EmailConfirmMail(Struct, frozen=True, kw_only=True):
    """Fields of the mail to the new address of a user."""

    name: str
    company: str
    email: str
    link: str
    minutes: int


class EmailNoticeMail(Struct, frozen=True, kw_only=True):
    """Fields of the mail to the address that a user has had."""

    name: str
    company: str
    old: str
    new: str


class ContactItem(Struct, frozen=True):
    """A contact over JSON."""

    id: int
    salutation: str
    first_name: str
    surname: str
    role: str
    email: str
    phone: str
    note: str
    gets_invoices: bool
    gets_reminders: bool
    gets_statements: bool
    version: int


class CustomerRow(Struct, frozen=True):
    """A customer as it stands in its row, with its status."""

    id: int
    kind: str
    full_name: str
    company: str
    login: str
    street: str
    zip: str
    city: str
    country: str
    lat: float | None
    lon: float | None
    location_id: int | None
    location: str | None
    parent_id: int | None
    payer_id: int | None
    status: str
    status_label: str
    status_kind: str
    status_colour: str
    status_reason: str
    billing_type: str
    billing_day: int | None
    currency: str
    language: str
    time_zone: str
    vat_id: str
    tax_profile: str
    tax_reason: str
    terms_days: int | None
    grace_days: int | None
    minimum_balance_minor: int
    never_block: bool
    send_by: str
    has_password: bool
    has_password_copy: bool
    """Whether the tenant keeps a copy of it that can be shown."""
    live_subscriptions: int
    joined_on: date
    external_ref: str
    created_at: datetime
    version: int
    anonymised_at: datetime | None
    planned_id: int | None
    """The change of status that is set for a later day, or was refused on its day and not put away yet."""
    planned_state: str | None
    planned_status: str | None
    planned_label: str | None
    planned_on: date | None
    planned_refusal: str | None


class CustomerDetail(CustomerRow, frozen=True, kw_only=True):
    """A customer with all its addresses and tags."""

    emails: list[str] = []
    billing_emails: list[str] = []
    phones: list[str] = []
    tags: list[str] = []


class CustomerItem(Struct, frozen=True):
    """A customer in a list."""

    id: int
    full_name: str
    company: str
    email: str
    phone: str
    city: str
    country: str
    status: str
    status_id: int
    status_label: str
    status_kind: str
    status_colour: str
    live_subscriptions: int
    joined_on: date
    location: str | None
    parent_id: int | None
    parent: str | None
    """Its name, where it is of the same reseller."""
    login: str
    street: str
    zip: str
    billing_type: str
    currency: str
    external_ref: str
    may_order: bool
    """Whether its status lets it take new subscriptions."""
    has_mail: bool = True
    """Whether the tenant can send e-mail, where a list asks for it with its rows."""


class NoteRow(Struct, frozen=True):
    """A note; `actor` is who wrote it, as the activity names people."""

    id: int
    text: str
    pinned: bool
    author: str
    actor: str
    created_at: datetime
    updated_at: datetime | None
    version: int


class TagRow(Struct, frozen=True):
    id: int
    name: str
    colour: int


class TagUse(TagRow, frozen=True):
    """A tag with how many customers have it."""

    customers: int


class LocationUse(Struct, frozen=True):
    """A location with how many customers are there."""

    id: int
    name: str
    customers: int


class StatusRow(Struct, frozen=True):
    id: int
    key: str
    label: str
    kind: str
    colour: str
    may_delete: bool
