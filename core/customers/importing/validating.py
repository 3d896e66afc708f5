"""One record of a file → one customer, some services, and what is wrong with it.

Pure and picklable: `validate_packed` runs in any process. What no record can know alone (a login that occurs twice, a
service in a record of its own) is judged by `gathering`, record by record in the order of the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address
from typing import Final, TypeVar

import msgspec
from babel import Locale
from babel.numbers import is_currency
from msgspec import Struct

from core.clock import check_zone
from core.customers.addresses import why_not_joined_on
from core.customers.importing import values
from core.customers.importing.profiles import Column, Layout
from core.customers.importing.records import (
    Context,
    Finding,
    ImportedAddress,
    ImportedContact,
    ImportedCustomer,
    ImportedService,
    ImportedTerms,
    Row,
)
from core.customers.schemas import LOGIN_LENGTH, STREET_LENGTH, TAG_LENGTH
from core.errors import Invalid
from core.ids import sort_key
from core.lists.reading import Record
from core.texts import _, number, speaking

T = TypeVar("T")

LONGEST: Final = {
    "full_name": 200, "company": 200, "login": LOGIN_LENGTH, "street": STREET_LENGTH, "zip": 20, "city": 100,
    "region": 100, "external_ref": 100, "note": 20_000, "location": 100, "contact": 200, "contact_role": 100,
    "phone": 60, "tag": TAG_LENGTH,
    "tax_reason": 200, "service_plan": 200, "service_login": 100, "service_note": 2_000, "opening_number": 60,
}  # fmt: skip
"""Characters. What is longer is refused, never cut."""
MOST_ADDRESSES: Final = 20
_WRITES_REGION: Final = frozenset({"US", "CA", "AU", "BR", "IN", "MX", "MY", "AR", "PH", "ID", "VE", "NG"})
"""Countries whose addresses name the state or province."""
_KINDS: Final = {
    "person": "person", "private": "person", "personal": "person", "individual": "person", "residential": "person",
    "consumer": "person", "privat": "person", "privatkunde": "person", "b2c": "person", "company": "company",
    "business": "company", "commercial": "company", "corporate": "company", "organisation": "company",
    "organization": "company", "firma": "company", "geschäftskunde": "company", "geschäftlich": "company",
    "gewerbe": "company", "b2b": "company",
}  # fmt: skip
_BILLING_TYPES: Final = {
    "recurring": "recurring", "postpaid": "recurring", "post-paid": "recurring", "wiederkehrend": "recurring",
    "prepaid": "prepaid", "pre-paid": "prepaid", "vorausbezahlt": "prepaid",
}  # fmt: skip
_TAX_PROFILES: Final = {
    "standard": "standard", "as in its country": "standard", "wie im jeweiligen land": "standard",
    "reverse_charge": "reverse_charge", "reverse charge": "reverse_charge",
    "steuerschuldnerschaft des empfängers": "reverse_charge", "exempt": "exempt", "steuerbefreit": "exempt",
    "outside": "outside", "outside scope": "outside", "nicht steuerbar": "outside",
}  # fmt: skip
_SEND_BY: Final = {
    "email": "email", "e-mail": "email", "mail": "email", "e-mail, pdf attached": "email",
    "e-mail mit pdf": "email", "post": "post", "letter": "post", "brief": "post",
    "none": "none", "not sent": "none", "kein versand": "none",
}  # fmt: skip
_DAYS: Final = re.compile(r"(?:net(?:to)? )?(\d{1,3})(?: ?(?:d|days?|tage?))?", re.IGNORECASE | re.ASCII)
_TERMS: Final = frozenset({
    "billing_type", "time_zone", "tax_reason", "terms_days", "grace_days", "minimum_balance", "never_block", "send_by",
})  # fmt: skip
"""Fields of `ImportedTerms`: most files have none of them."""


def validate(layout: Layout, context: Context, records: Iterable[Record]) -> list[Row]:
    """Each record on its own."""
    reader = _Reader(layout, context)
    with speaking(context.spoken):
        return [reader.row(record) for record in records]


class Slice(Struct, frozen=True):
    """Work for one process."""

    layout: Layout
    context: Context
    records: list[Record]


_slices: Final = msgspec.msgpack.Decoder(Slice)
_rows: Final = msgspec.msgpack.Decoder(list[Row])


def validate_packed(packed: bytes) -> bytes:
    """`validate` for a pool of processes: a packed Slice in, packed rows out."""
    piece = _slices.decode(packed)
    return msgspec.msgpack.encode(validate(piece.layout, piece.context, piece.records))


def unpack_rows(packed: bytes) -> list[Row]:
    """What `validate_packed` gave."""
    return _rows.decode(packed)


class _Reader:
    """Reads records of one layout."""

    def __init__(self, layout: Layout, context: Context) -> None:
        self._profile = layout.profile
        self._context = context
        self._columns: dict[str, list[Column]] = {}
        for column in layout.imported:
            self._columns.setdefault(column.field or "", []).append(column)
        self._places = {field: tuple(column.place for column in columns) for field, columns in self._columns.items()}
        self._name_fields = [
            field for field in ("full_name", "first_name", "last_name", "company") if field in self._columns
        ]
        self._name_columns = [column.place for field in self._name_fields for column in self._columns[field]]
        self._has_price = "service_price" in self._columns
        self._kinds = self._profile.kinds or _KINDS
        self._of_plugins = [field for field in self._columns if "." in field]
        self._has = frozenset(self._columns)
        self._has_money = not self._has.isdisjoint({"currency", "balance", "owes"})
        self._has_position = not self._has.isdisjoint({"coordinates", "latitude", "longitude"})
        self._has_contact = not self._has.isdisjoint({"contact_first_name", "contact_last_name", "contact_name"})
        self._has_terms = not self._has.isdisjoint(_TERMS)
        self._has_numbers = not self._has.isdisjoint({"digits", "number_list"})
        self._is_plain_status = (
            self._has.isdisjoint({"status", "is_lead"}) and context.status and context.status != "lead"
        )

    def row(self, record: Record) -> Row:
        self._record = record
        self._cells = record.cells
        self._errors: list[Finding] = []
        self._warnings: list[Finding] = []
        self._name = self._shown_name()
        if record.fault:
            self._fault("", record.fault)
            return Row(record.number, record.line, self._name, None, errors=tuple(self._errors))
        if record.remark:
            self._warn("", record.remark)
        customer: ImportedCustomer | None = None
        continues = False
        services: tuple[ImportedService, ...] = ()
        if self._profile.subject == "services":
            service = self._service(None, "")
            services = (service,) if service is not None and not self._errors else ()
        else:
            continues = (
                self._profile.repeats == "empty reference" and not self._text("external_ref") and not self._is_named()
            )
            joined = None if continues else self._joined()
            customer = None if continues else self._customer(joined)
            wrong = len(self._errors)
            service = None
            if self._text("service_plan"):
                service = self._service(joined, customer.currency if customer else "")
            if service is not None and len(self._errors) == wrong and (customer is not None or continues):
                services = (service,)
            if continues and not self._text("service_plan"):
                self._fault("", _("It has neither a name nor a service."))
        return Row(
            record.number,
            record.line,
            self._name,
            customer,
            services,
            continues,
            {field: text for field in self._of_plugins if (text := self._text(field))} if self._of_plugins else {},
            tuple(self._errors),
            tuple(self._warnings),
        )

    # Cells

    def _text(self, field: str) -> str:
        for place in self._places.get(field, ()):
            if text := self._cells[place]:
                return text
        return ""

    def _texts(self, field: str) -> list[tuple[Column, str]]:
        return [(column, text) for column in self._columns.get(field, ()) if (text := self._cells[column.place])]

    def _column(self, field: str) -> str:
        """The column that is to blame for a field."""
        columns = self._columns.get(field, ())
        return next((c.name for c in columns if self._cells[c.place]), columns[0].name if columns else "")

    def _shown_name(self) -> str:
        parts = [self._cells[place] for place in self._name_columns if place < len(self._cells) and self._cells[place]]
        return values.one_line(" ".join(parts[:2]) if parts else next((c for c in self._cells if c), ""))[:80]

    def _is_named(self) -> bool:
        return any(self._cells[place] for place in self._name_columns)

    def _fault(self, column: str, message: str, value: str = "") -> None:
        self._errors.append(Finding(self._record.number, column, message, self._record.line, self._name, value[:100]))

    def _warn(self, column: str, message: str, value: str = "") -> None:
        self._warnings.append(Finding(self._record.number, column, message, self._record.line, self._name, value[:100]))

    def _short(self, field: str, text: str, limit: str | None = None) -> str:
        """The text, or an error where it is longer than its field."""
        most = LONGEST[limit or field]
        if len(text) > most:
            self._fault(
                self._column(field),
                _(
                    "It has %(count)s characters; at most %(most)s are possible.",
                    count=number(len(text)),
                    most=number(most),
                ),
                text,
            )
            return ""
        return text

    def _line(self, field: str, limit: str | None = None) -> str:
        if field not in self._columns:
            return ""
        text = self._text(field)
        return self._short(field, values.one_line(text), limit) if text else ""

    def _read(self, field: str, how: Callable[[str], T]) -> T | None:
        """The value of a cell, None where it is empty or wrong."""
        if field not in self._columns:
            return None
        text = self._text(field)
        if not text:
            return None
        try:
            return how(text)
        except ValueError as wrong:
            self._fault(self._column(field), str(wrong), text)
            return None

    def _date(self, field: str) -> date | None:
        text = self._text(field)
        if text and values.is_zero_date(text):
            self._warn(self._column(field), _("%(text)s is no date. It is left out.", text=text), text)
            return None
        return self._read(field, lambda text: values.a_date(text, self._profile.dates, self._context.country))

    def _joined(self) -> date | None:
        day = self._date("joined_on")
        if day is not None and (refusal := why_not_joined_on(day, self._context.today)):
            self._fault(self._column("joined_on"), refusal, self._text("joined_on"))
            return None
        return day

    def _amount(self, field: str, currency: str) -> tuple[int, str] | None:
        return self._read(
            field, lambda text: values.amount(text, currency, self._profile.numbers, self._context.locale)
        )

    # The customer

    def _customer(self, joined: date | None) -> ImportedCustomer | None:
        names = self._line("first_name", "full_name"), self._line("last_name", "full_name")
        person = " ".join(part for part in names if part)
        company = self._line("company")
        full_name = self._line("full_name") or person or company
        name_key = sort_key(full_name)
        if not name_key and not any(column.field in self._name_fields for column in self._blamed()):
            self._fault(
                ", ".join(column.name for field in self._name_fields for column in self._columns[field]),
                _("The name is missing."),
            )
        country = self._country()
        currency, opening = self._money() if self._has_money else (self._context.currency, 0)
        addresses = (*self._emails(), *self._phones(country))
        login = self._line("login")
        lat, lon = self._position() if self._has_position else (None, None)
        note = "\n".join(values.many_lines(text) for __, text in self._texts("note"))
        language = self._language() if "language" in self._has else ""
        tax_profile = "exempt" if self._read("tax_exempt", values.yes_or_no) else "standard"
        if "tax_profile" in self._has:
            tax_profile = self._read("tax_profile", _one_of(_TAX_PROFILES)) or tax_profile
        vat_id = self._read("vat_id", values.vat_id) or ""
        if tax_profile == "reverse_charge" and not self._text("vat_id"):
            self._fault(self._column("tax_profile"), _("Reverse charge needs the customer's VAT id."))
        if self._has_numbers:
            self._check_numbers()
        email = next((address for address in addresses if address.kind == "email"), None)
        customer = ImportedCustomer(
            full_name=full_name,
            name_key=name_key,
            kind=self._kind(company),
            company=company,
            login=login,
            login_key=sort_key(login),
            external_ref=self._reference("external_ref", self._text("external_ref")),
            email_key=email.key if email else "",
            phone_e164=next((a.key for a in addresses if a.kind == "phone" and a.key.startswith("+")), ""),
            street=self._short("street", ", ".join(values.one_line(text) for __, text in self._texts("street"))),
            zip=self._line("zip"),
            city=(city := self._city(country)),
            city_key=_city_key(city),
            country=country,
            lat=lat,
            lon=lon,
            status=self._context.status if self._is_plain_status else self._status(),
            currency=currency,
            language=language,
            vat_id=vat_id,
            tax_profile=tax_profile,
            billing_day=self._read("billing_day", _billing_day),
            joined_on=joined or self._context.today,
            location=self._line("location"),
            note=self._short("note", note),
            opening_minor=opening,
            opening_number=self._line("opening_number"),
            parent_ref=self._reference("parent", self._text("parent")),
            child_refs=tuple(self._reference("children", ref) for ref in self._listed("children"))
            if "children" in self._has
            else (),
            addresses=addresses,
            contact=self._contact(email.value if email else "") if self._has_contact else None,
            tags=self._tags() if "tags" in self._has else (),
            terms=self._terms(tax_profile, currency) if self._has_terms else None,
        )
        return None if self._errors else customer

    def _terms(self, tax_profile: str, currency: str) -> ImportedTerms:
        minor, named = self._amount("minimum_balance", currency) or (0, currency)
        if minor and named != currency:
            told = _("It is in %(named)s, the customer’s currency is %(currency)s.", named=named, currency=currency)
            self._fault(self._column("minimum_balance"), told, self._text("minimum_balance"))
        return ImportedTerms(
            billing_type=self._read("billing_type", _one_of(_BILLING_TYPES)) or "recurring",
            time_zone=self._read("time_zone", _zone) or "",
            tax_reason=self._line("tax_reason") if tax_profile == "exempt" else "",
            terms_days=self._read("terms_days", _days),
            grace_days=self._read("grace_days", _days),
            minimum_balance_minor=minor,
            never_block=self._read("never_block", values.yes_or_no) or False,
            send_by=self._read("send_by", _one_of(_SEND_BY)) or "email",
        )

    def _tags(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self._short("tags", values.one_line(tag), "tag") for tag in self._listed("tags")))

    def _blamed(self) -> list[Column]:
        names = {finding.field for finding in self._errors}
        return [column for columns in self._columns.values() for column in columns if column.name in names]

    def _reference(self, field: str, text: str) -> str:
        """A number of the other system, told apart from those of a third."""
        if not text:
            return ""
        text = self._short(field, values.one_line(text), "external_ref")
        return f"{self._profile.prefix}:{text}" if self._profile.prefix else text

    def _listed(self, field: str) -> list[str]:
        return [part.strip() for __, text in self._texts(field) for part in re.split(r"[,;|]", text) if part.strip()]

    def _kind(self, company: str) -> str:
        text = self._text("kind")
        found = self._kinds.get(text if self._profile.kinds else text.casefold())
        if text and found is None:
            if self._profile.kinds:
                self._fault(
                    self._column("kind"),
                    _(
                        "“%(text)s” is neither %(kinds)s, to the letter.",
                        text=text[:40],
                        kinds=f" {_('nor')} ".join(self._kinds),
                    ),
                    text,
                )
            else:
                self._warn(
                    self._column("kind"),
                    _("“%(text)s” is neither person nor company. It is left out.", text=text[:40]),
                    text,
                )
        return found or ("company" if company else "person")

    def _country(self) -> str:
        how = values.country_code if self._profile.country_codes_only else values.country
        return self._read("country", how) or self._context.country

    def _city(self, country: str) -> str:
        city, region = self._line("city"), self._line("region")
        if region and region.casefold() != city.casefold() and (country in _WRITES_REGION or not country):
            return f"{city}, {region}" if city else region
        return city

    def _money(self) -> tuple[str, int]:
        """Currency of the customer, and its opening balance, positive for credit."""
        text = self._text("currency")
        currency = ""
        if text and not text.isdigit():
            if is_currency(text.upper()):
                currency = text.upper()
            else:
                self._fault(
                    self._column("currency"),
                    _("“%(text)s” is no currency. Write its three letters, such as EUR.", text=text[:20]),
                    text,
                )
        opening = 0
        for field, sign in (("balance", 1), ("owes", -1)):
            if found := self._amount(field, currency or self._context.currency):
                minor, named = found
                if minor and currency and named != currency:
                    self._fault(
                        self._column(field),
                        _(
                            "It is in %(named)s, the customer’s currency is %(currency)s.",
                            named=named,
                            currency=currency,
                        ),
                        self._text(field),
                    )
                elif minor:
                    currency = named
                opening += sign * minor
        return currency or self._context.currency, opening

    def _emails(self) -> list[ImportedAddress]:
        found: list[ImportedAddress] = []
        for kind in ("email", "billing_email"):
            if kind not in self._has:
                continue
            keys: set[str] = set()
            for column, text in self._texts(kind):
                for part in values.split_emails(text):
                    if part.casefold() in values.PLACEHOLDERS:
                        self._warn(column.name, _("“%(part)s” is no e-mail address. It is left out.", part=part), part)
                        continue
                    try:
                        address = values.email(part)
                    except ValueError as wrong:
                        if self._profile.emails_may_be_anything:
                            self._warn(column.name, _("%(wrong)s It is left out.", wrong=wrong), part)
                        else:
                            self._fault(column.name, str(wrong), part)
                        continue
                    key = sort_key(address)
                    if key not in keys:
                        keys.add(key)
                        found.append(ImportedAddress(kind, address, key))
            if len(keys) > MOST_ADDRESSES:
                self._fault(
                    self._column(kind),
                    _(
                        "It has %(count)s addresses; at most %(most_addresses)s are possible.",
                        count=len(keys),
                        most_addresses=MOST_ADDRESSES,
                    ),
                )
        return found

    def _phones(self, country: str) -> list[ImportedAddress]:
        found: dict[str, ImportedAddress] = {}
        if "phone" not in self._has:
            return []
        extension, calling = self._text("phone_extension"), self._text("phone_country").lstrip("+0")
        for column, text in self._texts("phone"):
            for part in values.split_phones(text):
                number = part
                if extension and not found and extension.isdigit():
                    number = f"{number} x{extension}"
                if calling.isdigit() and not number.startswith(("+", "00")):
                    number = f"+{calling} {number}"
                if number.casefold() in values.PLACEHOLDERS:
                    self._warn(
                        column.name, _("“%(number)s” is no phone number. It is left out.", number=number), number
                    )
                    continue
                self._short("phone", number)
                phone, warning = values.phone(number, country or None, sure=bool(self._text("country")))
                if warning:
                    self._warn(column.name, warning, number)
                key = phone.e164 or re.sub(r"\D", "", number) or sort_key(number)
                found.setdefault(key, ImportedAddress("phone", phone.typed, key))
        if len(found) > MOST_ADDRESSES:
            self._fault(
                self._column("phone"),
                _(
                    "It has %(count)s numbers; at most %(most_addresses)s are possible.",
                    count=len(found),
                    most_addresses=MOST_ADDRESSES,
                ),
            )
        return list(found.values())

    def _position(self) -> tuple[float | None, float | None]:
        both = self._text("coordinates")
        if both:
            parts = re.split(r"[;\s]+|,\s*(?=[-\d])", both.strip("() "))
            if len(parts) != 2:
                self._fault(
                    self._column("coordinates"),
                    _("“%(both)s” is not a latitude and a longitude.", both=both[:40]),
                    both,
                )
                return None, None
            return (
                self._read("coordinates", lambda _: values.coordinate(parts[0], 90)),
                self._read("coordinates", lambda _: values.coordinate(parts[1], 180)),
            )
        lat = self._read("latitude", lambda text: values.coordinate(text, 90))
        lon = self._read("longitude", lambda text: values.coordinate(text, 180))
        return (lat, lon) if lat is not None and lon is not None else (None, None)

    def _status(self) -> str:
        text = self._text("status").casefold()
        status = (
            self._profile.statuses.get(text, text if text in self._context.statuses else None)
            if text
            else self._context.status
        )
        if status is None:
            known = ", ".join(self._profile.statuses) or ", ".join(sorted(self._context.statuses))
            self._fault(
                self._column("status"),
                _("“%(text)s” is no status. There are: %(known)s.", text=text[:40], known=known),
                text,
            )
            return self._context.status
        lead = self._read("is_lead", values.yes_or_no)
        if (status == "lead" or lead) and "lead" not in self._context.statuses:
            column = self._column("is_lead" if lead else "status")
            self._warn(
                column,
                _("It is a lead there; without leads here it becomes a new customer."),
                self._text("is_lead") or text,
            )
            return "new"
        return "lead" if lead else status

    def _language(self) -> str:
        text = self._text("language")
        if not text:
            return ""
        code = _languages().get(text.casefold().replace("_", "-"))
        if code is None:
            self._warn(self._column("language"), _("“%(text)s” is no language. It is left out.", text=text[:40]), text)
        return code or ""

    def _contact(self, email: str) -> ImportedContact | None:
        first, surname = self._line("contact_first_name", "contact"), self._line("contact_last_name", "contact")
        whole = self._line("contact_name", "contact")
        if whole and not surname:
            first, _, surname = whole.rpartition(" ")
        if not first and not surname:
            return None
        return ImportedContact(first, surname, self._line("contact_role"), email)

    def _check_numbers(self) -> None:
        for column, text in self._texts("digits"):
            if not text.isdigit():
                self._fault(
                    column.name,
                    _("“%(text)s” is no number; this layout has the number here, not the name.", text=text[:40]),
                    text,
                )
        for column, text in self._texts("number_list"):
            if not re.fullmatch(r"\d+(?:\s*,\s*\d+)*", text):
                self._fault(column.name, _("“%(text)s” is no list of numbers such as 2,3.", text=text[:40]), text)

    # Its services

    def _service(self, joined: date | None, currency: str) -> ImportedService | None:
        plan = self._line("service_plan")
        alone = self._profile.subject == "services"
        if alone:
            for field in ("customer_login", "service_plan", "service_login", "service_from"):
                if not self._text(field):
                    self._fault(self._column(field), _("It is missing."))
        wrong = len(self._errors)
        starts, ends = self._date("service_from"), self._date("service_to")
        if starts and ends and ends < starts:
            self._fault(
                self._column("service_to"),
                _("It ends on %(ends)s, before it starts on %(starts)s.", ends=ends, starts=starts),
            )
        price = self._amount("service_price", currency or self._context.currency)
        product = self._context.plans.get(sort_key(plan), "")
        if len(self._errors) == wrong and not product and plan:
            self._judge_unknown_plan(plan, priced=price is not None)
        service = ImportedService(
            plan=plan,
            product=product,
            price_minor=price[0] if price else None,
            currency=price[1] if price else currency,
            starts_on=starts or joined,
            ends_on=ends,
            invoiced_from=self._date("service_invoiced_from"),
            months=self._read("service_months", _months) or 0,
            in_arrears=self._text("service_timing").casefold().startswith(("back", "arrear")),
            login=self._line("service_login"),
            ipv4=self._read("service_ipv4", _ipv4) or "",
            note=self._short("service_note", "\n".join(values.many_lines(t) for __, t in self._texts("service_note"))),
            customer_login=self._line("customer_login", "login"),
        )
        return service if len(self._errors) == wrong else None

    def _judge_unknown_plan(self, plan: str, *, priced: bool) -> None:
        """A price can be made into a product; a number stands for one; a bare name says nothing that can be billed."""
        column = self._column("service_plan")
        if plan.isdigit():
            self._warn(
                column,
                _(
                    "Plan %(plan)s is a number of the other system. Match it to a product before it is booked.",
                    plan=plan,
                ),
                plan,
            )
        elif not priced and self._has_price:
            self._fault(
                column,
                _("There is no plan “%(plan)s” here, and the file gives no price to make one from.", plan=plan[:60]),
                plan,
            )
        else:
            self._warn(
                column,
                _("There is no plan “%(plan)s” yet. Make it, or match it, before it is booked.", plan=plan[:60]),
                plan,
            )


_city_key: Final = lru_cache(maxsize=10_000)(sort_key)
"""Few cities have many customers."""


def _billing_day(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 31:
        raise ValueError(_("“%(text)s” is no day of the month, 1 to 31.", text=text[:20]))
    return int(text)


def _one_of(words: Mapping[str, str]) -> Callable[[str], str]:
    """Reads one of these words, whatever its capitals."""

    def read(text: str) -> str:
        found = words.get(text.strip().casefold())
        if found is None:
            known = ", ".join(dict.fromkeys(words.values()))
            raise ValueError(_("“%(text)s” is none of %(known)s.", text=text[:40], known=known))
        return found

    return read


def _zone(text: str) -> str:
    try:
        return check_zone(text)
    except Invalid as wrong:
        raise ValueError(wrong.message) from None


def _days(text: str) -> int:
    """So many days, as 14, 14 Tage or Net 30."""
    found = _DAYS.fullmatch(text.strip())
    if found is None or int(found[1]) > 365:
        raise ValueError(_("“%(text)s” is no number of days, 0 to 365.", text=text[:20]))
    return int(found[1])


def _months(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 120:
        raise ValueError(_("“%(text)s” is no number of months, 1 to 120.", text=text[:20]))
    return int(text)


def _ipv4(text: str) -> str:
    try:
        return str(IPv4Address(text))
    except AddressValueError:
        raise ValueError(_("“%(text)s” is no IPv4 address.", text=text[:40])) from None


_LANGUAGE_CODES: Final[dict[str, str]] = {}


def _languages() -> dict[str, str]:
    """Two letters by code, by code with a country, and by name in English and in the language itself."""
    if not _LANGUAGE_CODES:
        names = {str(code): str(name) for code, name in Locale("en").languages.items()}
        _LANGUAGE_CODES.update({name.casefold(): code for code, name in names.items() if len(code) == 2})
        for code in ("de", "fr", "es", "it", "pt", "nl", "pl", "cs", "da", "sv", "fi", "lt", "hu", "ro", "tr", "id"):
            _LANGUAGE_CODES[Locale(code).languages[code].casefold()] = code
        _LANGUAGE_CODES.update({code: code for code in names if len(code) == 2})
        _LANGUAGE_CODES.update(
            {tag: tag[:2] for tag in ("en-us", "en-gb", "de-de", "de-at", "de-ch", "fr-fr", "es-es", "pt-pt", "pt-br")}
        )
    return _LANGUAGE_CODES
