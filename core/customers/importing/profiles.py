"""The layouts that are known, as data: recognised by their headers, each with the rules of the system that wrote it.

A field of the target is named by one of FIELDS. Names of columns are compared by `header_key`: case, spaces, marks and
accents make no difference.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final, Literal

import msgspec
from msgspec import Struct

from core.customers.importing.values import DateStyle, NumberStyle
from core.errors import Invalid
from core.lists.reading import header_key
from core.texts import N_, _

SECRET: Final = N_("Cards, passwords and other secrets are never imported.")

FIELDS: Final[dict[str, str]] = {
    "external_ref": N_("Number in the system it comes from"),
    "login": N_("Login"),
    "kind": N_("Kind: person or company"),
    "full_name": N_("Full name"),
    "salutation": N_("Salutation"),
    "first_name": N_("First name"),
    "last_name": N_("Surname"),
    "company": N_("Company"),
    "email": N_("E-mails"),
    "billing_email": N_("Billing e-mails"),
    "phone": N_("Phones"),
    "phone_country": N_("Calling code of the phone"),
    "phone_extension": N_("Extension of the phone"),
    "street": N_("Street"),
    "zip": N_("ZIP code"),
    "city": N_("City"),
    "region": N_("State or province"),
    "country": N_("Country"),
    "latitude": N_("Latitude"),
    "longitude": N_("Longitude"),
    "coordinates": N_("Latitude and longitude in one"),
    "status": N_("Status"),
    "is_lead": N_("Is a lead"),
    "joined_on": N_("Joined on"),
    "currency": N_("Currency"),
    "language": N_("Language"),
    "vat_id": N_("VAT id"),
    "tax_exempt": N_("Tax exempt"),
    "tax_profile": N_("Tax: as in its country, reverse charge, exempt or outside scope"),
    "tax_reason": N_("Reason of the exemption"),
    "time_zone": N_("Time zone"),
    "billing_type": N_("Billing type: recurring or prepaid"),
    "billing_day": N_("Billing day"),
    "terms_days": N_("Payment terms in days"),
    "grace_days": N_("Grace in days"),
    "minimum_balance": N_("Minimum balance, minus is a credit limit"),
    "never_block": N_("Never block"),
    "send_by": N_("Documents by: e-mail, post or not sent"),
    "location": N_("Location"),
    "tags": N_("Tags"),
    "note": N_("Note"),
    "balance": N_("Opening balance, plus is credit"),
    "owes": N_("Opening balance, plus is owed"),
    "opening_number": N_("Number of the invoice that is owed"),
    "parent": N_("Parent customer"),
    "children": N_("Sub-accounts"),
    "contact_name": N_("Contact"),
    "contact_first_name": N_("First name of the contact"),
    "contact_last_name": N_("Surname of the contact"),
    "contact_role": N_("Role of the contact"),
    "customer_login": N_("Login of the service’s customer"),
    "service_plan": N_("Plan"),
    "service_price": N_("Price of the plan"),
    "service_from": N_("Plan from"),
    "service_to": N_("Plan until"),
    "service_invoiced_from": N_("Plan invoiced from"),
    "service_months": N_("Months a period"),
    "service_timing": N_("Invoiced backward or forward"),
    "service_login": N_("Login of the service"),
    "service_ipv4": N_("IPv4 address of the service"),
    "service_note": N_("Note on the service"),
    "digits": N_("Number, checked only"),
    "number_list": N_("Numbers, checked only"),
}
OF_PLUGINS: Final = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")
"""How fields of plugins are called: inventory.serial. Their texts are kept as they are, for the plugin's step."""
MANY: Final = frozenset(
    {"email", "billing_email", "phone", "street", "note", "service_note", "children", "tags", "digits", "number_list"}
)
"""Fields that several columns may go to; the others take one."""

NEVER: Final = re.compile(
    r"pass(?:word|wd|wort|phrase)|kennwort|geheim|^pwd$|^pw$|hash|salt$|secret(?!ar)|token|apikey|privatekey|credential"
    r"|cvv|cvc|^pin$|cardnum|cardno|creditcard|kreditkarte|cardverif|cardexp|^ccnum|^cccvv|^cardtype|cardlastfour|bankpin"
    r"|securityq|securitya|recoverycode|twofactor|2fa",
)
"""Columns that are not read, whatever the mapping says: cards and secrets. A foreign hash logs nobody in here."""


class Profile(Struct, frozen=True):
    """How one system writes its customers."""

    key: str
    label: str
    columns: dict[str, str] = {}
    """Field by name of column, as the file writes it."""
    recognised_by: tuple[str, ...] = ()
    """Columns that must all be there."""
    subject: Literal["customers", "services"] = "customers"
    prefix: str = ""
    """Stands before its numbers, so that those of two systems never collide."""
    identity: Literal["login", "email"] = "login"
    """`email`: there the address is what one logs in with, so two customers cannot have the same."""
    dates: DateStyle = "any"
    numbers: NumberStyle = "any"
    country_codes_only: bool = False
    kinds: dict[str, str] = {}
    """What its words for person and company are, to the letter; any usual word where empty."""
    statuses: dict[str, str] = {}
    """Our status by its word in lower case. Words that are not there are an error."""
    emails_may_be_anything: bool = False
    """The system never checked them: what is no address is left out with a warning instead of refusing the customer."""
    repeats: Literal["never", "empty reference", "same reference"] = "never"
    """Which records are further services of the customer above."""
    left_out: dict[str, str] = {}
    """Why a column is not imported, by its name."""

    def field_of(self, column: str) -> str | None:
        key = header_key(column)
        return next((field for name, field in self.columns.items() if header_key(name) == key), None)


_SAME_WORDS: Final = {key: key for key in ("active", "inactive", "closed", "new", "blocked")}

SPLYNX_CUSTOMERS: Final = Profile(
    key="splynx_customers",
    label="Splynx, customers",
    recognised_by=("Full name", "Category", "Partner", "Location"),
    columns={
        "Full name": "full_name", "Login": "login", "Category": "kind", "Email": "email",
        "Billing email": "billing_email", "Phone number": "phone", "Phone": "phone", "Street": "street",
        "Street 1": "street", "ZIP code": "zip", "City": "city", "Partner": "digits", "Location": "digits",
        "Date add": "joined_on", "Status": "status", "ID": "external_ref", "GPS": "coordinates",
        "Geo data": "coordinates", "VAT ID": "vat_id", "Company name": "company", "Comment": "note",
        "Country": "country", "Currency": "currency", "Customer labels": "tags", "Account balance": "balance",
    },
    prefix="splynx",
    dates="iso",
    numbers="point",
    kinds={"person": "person", "company": "company"},
    statuses=_SAME_WORDS | {"disabled": "inactive"},
    left_out={
        "Partner": N_("It holds a number of Splynx; give resellers their customers after the import."),
        "Location": N_("It holds a number of Splynx; map a column with the names of locations instead."),
    },
)  # fmt: skip

SPLYNX_SERVICES: Final = Profile(
    key="splynx_services",
    label="Splynx, services",
    recognised_by=("name", "plan", "start date", "login"),
    subject="services",
    columns={
        "name": "customer_login", "plan": "service_plan", "start date": "service_from", "end date": "service_to",
        "login": "service_login", "price": "service_price", "unit price": "service_price", "ipv4": "service_ipv4",
        "description": "service_note",
    },
    dates="iso",
    numbers="point",
    left_out={"id": N_("Splynx gives its own numbers on import and ignores it too.")},
)  # fmt: skip

UISP: Final = Profile(
    key="uisp_clients",
    label="UISP CRM, clients",
    recognised_by=("Id", "Emails", "Phones", "Is Lead"),
    columns={
        "Id": "external_ref", "First name": "first_name", "Last name": "last_name", "Username": "login",
        "Company name": "company", "Is Lead": "is_lead", "Emails": "email", "Phones": "phone", "Street 1": "street",
        "Street 2": "street", "City": "city", "Country": "country", "State": "region", "ZIP code": "zip",
        "Note": "note", "Registration date": "joined_on", "Client latitude": "latitude",
        "Client longitude": "longitude", "Company Tax ID": "vat_id", "Tax ID": "vat_id", "Service": "service_plan",
        "Service note": "service_note", "Service active from (Y-m-d)": "service_from",
        "Service active to (Y-m-d)": "service_to", "Service invoicing from (Y-m-d)": "service_invoiced_from",
        "Service invoicing type (backward/forward)": "service_timing", "Service period (months)": "service_months",
        "Service individual price": "service_price", "PPPOE Username (custom attribute)": "service_login",
        "Facility (custom attribute)": "location", "Tags": "tags",
    },
    prefix="uisp",
    dates="iso",
    numbers="point",
    repeats="empty reference",
)  # fmt: skip

WHMCS: Final = Profile(
    key="whmcs_clients",
    label="WHMCS, tblclients",
    recognised_by=("firstname", "lastname", "companyname", "phonenumber", "postcode", "datecreated"),
    columns={
        "id": "external_ref", "firstname": "first_name", "lastname": "last_name", "companyname": "company",
        "email": "email", "address1": "street", "address2": "street", "city": "city", "state": "region",
        "postcode": "zip", "country": "country", "phonenumber": "phone", "tax_id": "vat_id", "currency": "currency",
        "status": "status", "datecreated": "joined_on", "credit": "balance", "taxexempt": "tax_exempt",
        "notes": "note", "language": "language",
    },
    prefix="whmcs",
    identity="email",
    dates="iso",
    numbers="point",
    statuses={"active": "active", "inactive": "inactive", "closed": "closed"},
)  # fmt: skip

FOSSBILLING: Final = Profile(
    key="fossbilling_clients",
    label="FOSSBilling, clients",
    recognised_by=("email", "first_name", "last_name", "phone_cc", "address_1"),
    columns={
        "id": "external_ref", "email": "email", "status": "status", "first_name": "first_name",
        "last_name": "last_name", "phone_cc": "phone_country", "phone": "phone", "company": "company",
        "company_vat": "vat_id", "address_1": "street", "address_2": "street", "city": "city", "state": "region",
        "postcode": "zip", "country": "country", "currency": "currency", "created_at": "joined_on", "notes": "note",
        "type": "kind", "lang": "language", "tax_exempt": "tax_exempt", "balance": "balance",
    },
    prefix="fossbilling",
    identity="email",
    dates="iso",
    numbers="point",
    statuses={"active": "active", "suspended": "blocked", "canceled": "cancelled", "cancelled": "cancelled"},
    left_out={"company_number": N_("There is no field for the number in the commercial register.")},
)  # fmt: skip

PHPNUXBILL: Final = Profile(
    key="phpnuxbill_customers",
    label="phpNuxBill, customers",
    recognised_by=("username", "fullname", "phonenumber", "email", "balance"),
    columns={
        "id": "external_ref", "username": "login", "fullname": "full_name", "address": "street",
        "phonenumber": "phone", "email": "email", "balance": "balance", "status": "status", "account_type": "kind",
        "coordinates": "coordinates", "created_at": "joined_on", "city": "city", "district": "region", "zip": "zip",
        "namebp": "service_plan",
    },
    prefix="phpnuxbill",
    dates="iso",
    numbers="point",
    emails_may_be_anything=True,
    kinds={"personal": "person", "business": "company"},
    statuses={
        "active": "active", "banned": "inactive", "disabled": "inactive", "inactive": "inactive",
        "limited": "blocked", "suspended": "blocked", "on": "active", "off": "inactive",
    },
    repeats="same reference",
    left_out={
        "service_type": N_("It says how the customer dials in, which is the RADIUS plugin's."),
        "routers": N_("It says where the customer dials in, which is the RADIUS plugin's."),
        "Payment": N_("It is how the last recharge was paid."),
    },
)  # fmt: skip

DALORADIUS: Final = Profile(
    key="daloradius_userbillinfo",
    label="daloRADIUS, userbillinfo",
    recognised_by=("username", "planName", "contactperson"),
    columns={
        "username": "login", "contactperson": "full_name", "company": "company", "email": "email", "phone": "phone",
        "address": "street", "city": "city", "state": "region", "country": "country", "zip": "zip", "notes": "note",
        "creationdate": "joined_on", "planName": "service_plan",
    },
    prefix="daloradius",
    dates="iso",
    numbers="point",
    emails_may_be_anything=True,
    left_out={
        "id": N_("It numbers the row and not the customer."),
        "billstatus": N_("It is the state of a bill, not of the customer."),
        "paymentmethod": N_("Payment methods are agreed anew."),
    },
)  # fmt: skip

INVOICE_NINJA: Final = Profile(
    key="invoiceninja_clients",
    label="Invoice Ninja, clients",
    recognised_by=("Name", "Paid to Date", "Billing Street"),
    columns={
        "Name": "full_name", "Balance": "owes", "Billing Street": "street", "Billing Apt/Suite": "street",
        "Billing City": "city", "Billing State/Province": "region", "Billing Postal Code": "zip",
        "Billing Country": "country", "ID Number": "external_ref", "VAT Number": "vat_id", "Phone": "phone",
        "Currency": "currency", "Public Notes": "note", "Private Notes": "note", "First Name": "contact_first_name",
        "Last Name": "contact_last_name", "Email": "email",
    },
    prefix="invoiceninja",
    left_out={
        "Paid to Date": N_("It is the sum of past payments; the opening balance counts."),
        "Shipping Street": N_("A customer has one address."), "Shipping Apt/Suite": N_("A customer has one address."),
        "Shipping City": N_("A customer has one address."),
        "Shipping State/Province": N_("A customer has one address."),
        "Shipping Postal Code": N_("A customer has one address."),
        "Shipping Country": N_("A customer has one address."),
        "Website": N_("There is no field for it."),
    },
)  # fmt: skip

SONAR: Final = Profile(
    key="sonar_accounts",
    label="Sonar, accounts",
    recognised_by=("Name", "Account Type ID", "Account Status ID", "Physical Address Line1"),
    columns={
        "ID": "external_ref", "Name": "full_name", "Account Type ID": "digits", "Account Status ID": "status",
        "Account Groups": "number_list", "Sub Accounts": "children", "Physical Address Line1": "street",
        "Physical Address Line 2": "street", "Physical City": "city", "Physical State": "region",
        "Physical ZIP": "zip", "Physical Country": "country", "Physical Latitude": "latitude",
        "Physical Longitude": "longitude", "Primary Contact Name": "contact_name",
        "Primary Contact Role": "contact_role", "Primary Contact Email Address": "email",
        "Primary Contact Email Message Categories": "number_list", "Work Phone": "phone",
        "Work Extension": "phone_extension", "Home Phone": "phone", "Mobile Phone": "phone",
    },
    prefix="sonar",
    dates="iso",
    numbers="point",
    country_codes_only=True,
    statuses={"1": "lead", "2": "active", "3": "inactive"},
    left_out={
        "Account Type ID": N_("It holds a number of Sonar."),
        "Account Groups": N_("It holds numbers of Sonar."),
        "Primary Contact Email Message Categories": N_("It holds numbers of Sonar."),
        "Next Bill Date": N_("The plans that are booked decide when the next invoice is due."),
        "Physical County": N_("A county is no part of the address."),
        "Fax": N_("Nobody is faxed."),
    },
)  # fmt: skip

_GENERIC: Final[dict[str, str]] = {
    "external_ref": (
        "customer number; customer no; customer id; account number; account id; client id; external reference; "
        "external ref; reference; ref; id; Kundennr; Kundennummer; Kunden-Nr; Kd-Nr; KdNr; Debitor; "
        "Debitorennummer; numéro client; número de cliente; codice cliente; klantnummer; numer klienta"
    ),
    "login": "login; username; user name; user; Benutzer; Benutzername; Anmeldename; utilisateur; usuario; utente",
    "kind": "kind; category; customer type; account type; Kundenart; Art",
    "full_name": (
        "name; full name; customer; customer name; client; client name; display name; Kunde; Kundenname; "
        "Vollständiger Name; Name des Kunden; nom complet; nombre completo; nome completo; naam"
    ),
    "salutation": "salutation; title; Anrede; Titel; civilité",
    "first_name": "first name; firstname; given name; forename; Vorname; prénom; nombre; nome; voornaam; imię",
    "last_name": (
        "last name; lastname; surname; family name; Nachname; Familienname; Zuname; nom; apellido; apellidos; "
        "cognome; sobrenome; achternaam; nazwisko"
    ),
    "company": (
        "company; company name; organisation; organization; business name; Firma; Firmenname; Unternehmen; "
        "société; entreprise; empresa; azienda; ragione sociale; bedrijf"
    ),
    "email": (
        "email; e-mail; emails; e-mails; email address; email addresses; e-mail address; mail; E-Mail-Adresse; "
        "Mailadresse; courriel; adresse email; correo; correo electrónico; correio eletrônico; posta elettronica"
    ),
    "billing_email": "billing email; billing emails; invoice email; Rechnungs-E-Mail; Rechnungsmail; E-Mail Rechnung",
    "phone": (
        "phone; phones; phone number; phone numbers; telephone; telephone number; tel; mobile; mobile phone; "
        "cell; cell phone; Telefon; Telefonnummer; Tel-Nr; Festnetz; Mobil; Mobiltelefon; Handy; téléphone; "
        "portable; teléfono; móvil; telefono; cellulare; telefone; celular; telefoon"
    ),
    "street": (
        "street; street 1; street 2; address; address 1; address 2; address line 1; address line 2; street "
        "address; Straße; Str; Straße und Hausnummer; Straße Nr; Anschrift; Adresse; Adresszusatz; Hausnummer; "
        "rue; calle; dirección; via; indirizzo; endereço; adres; straat; ulica"
    ),
    "zip": "zip; zip code; postcode; post code; postal code; PLZ; Postleitzahl; code postal; código postal; CAP; CEP",
    "city": "city; town; place; Ort; Stadt; Wohnort; ville; ciudad; città; cidade; stad; plaats; miasto",
    "region": "state; province; region; county; Bundesland; département; provincia; estado; regione",
    "country": (
        "country; country code; Land; Staat; pays; país; paese; Land/Region; country/region; Länderkennzeichen; kraj"
    ),
    "latitude": "latitude; lat; Breitengrad; Breite",
    "longitude": "longitude; lon; lng; long; Längengrad; Länge",
    "coordinates": "coordinates; gps; geo; geo data; Koordinaten",
    "status": "status; account status; customer status; Kundenstatus; état; estado del cliente",
    "joined_on": (
        "joined; joined on; date joined; registered; registered on; registration date; created; created at; "
        "created on; customer since; start; start date; Beginn; Kunde seit; Vertragsbeginn; Angelegt; Angelegt "
        "am; Eintritt; Anlagedatum; date de création; fecha de alta"
    ),
    "currency": "currency; currency code; Währung; devise; moneda; valuta; moeda",
    "language": "language; locale; Sprache; langue; idioma; lingua",
    "vat_id": (
        "vat id; vat; vat number; vat no; tax id; USt-IdNr; USt-ID; UID; UID-Nummer; Umsatzsteuer-ID; numéro de "
        "TVA; NIF; partita IVA; P. IVA; BTW-nummer"
    ),
    "tax_exempt": "tax exempt; steuerbefreit",
    "tax_profile": "tax profile; tax treatment; Steuerprofil; Steuerbehandlung",
    "tax_reason": "tax reason; exemption reason; reason of the exemption; Befreiungsgrund; Grund der Steuerbefreiung",
    "time_zone": "time zone; timezone; Zeitzone",
    "billing_type": "billing type; Abrechnungsart",
    "billing_day": "billing day; Abrechnungstag",
    "terms_days": "payment terms; payment terms in days; terms days; Zahlungsziel; Zahlungsfrist",
    "grace_days": "grace; grace days; grace in days; grace period; Karenz; Karenztage",
    "minimum_balance": "minimum balance; minimal balance; Mindestsaldo; Mindestguthaben",
    "never_block": "never block; Nie sperren",
    "send_by": "documents by; send by; Belege per; Versandart",
    "location": "location; site; Standort",
    "tags": "tags; labels; Schlagworte; Markierungen",
    "note": (
        "note; notes; comment; comments; remark; remarks; Notiz; Notizen; Bemerkung; Bemerkungen; Kommentar; "
        "nota; notas"
    ),
    "balance": "balance; account balance; opening balance; credit; Guthaben; Saldo; Kontostand; solde",
    "owes": "owes; amount due; open amount; outstanding; Offener Betrag; Rückstand",
    "opening_number": (
        "open invoice; open invoice number; invoice number; invoice no; Rechnungsnummer; Rechnungs-Nr; "
        "Offene Rechnung; Belegnummer"
    ),
    "parent": "parent; parent id; parent customer; Hauptkunde",
    "contact_name": "contact; contact person; contact name; Ansprechpartner; Kontaktperson",
    "service_plan": (
        "plan; product; tariff; package; service; subscription; Tarif; Produkt; Paket; Leistung; forfait; producto"
    ),
    "service_price": (
        "price; net price; plan price; monthly price; amount; Preis; Preis netto; Nettopreis; Betrag; Grundpreis; "
        "prix; precio"
    ),
    "service_months": "months; period months; Monate",
    "service_to": "end; end date; contract end; Ende; Vertragsende",
}

GENERIC: Final = Profile(
    key="generic",
    label="Customers, columns matched by name",
    columns={name.strip(): field for field, names in _GENERIC.items() for name in names.split(";")},
    statuses={
        "new": "new", "neu": "new", "pending": "new", "active": "active", "aktiv": "active", "activated": "active",
        "enabled": "active", "live": "active", "blocked": "blocked", "gesperrt": "blocked", "suspended": "blocked",
        "inactive": "inactive", "inaktiv": "inactive", "disabled": "inactive", "closed": "closed",
        "geschlossen": "closed", "cancelled": "cancelled", "canceled": "cancelled", "gekündigt": "cancelled",
        "terminated": "terminated", "beendet": "terminated", "lead": "lead", "interessent": "lead",
    },
)  # fmt: skip

PROFILES: Final = (
    SPLYNX_CUSTOMERS, SPLYNX_SERVICES, UISP, WHMCS, FOSSBILLING, PHPNUXBILL, DALORADIUS, INVOICE_NINJA, SONAR, GENERIC,
)  # fmt: skip
BY_KEY: Final = {profile.key: profile for profile in PROFILES}
_KNOWN: Final = frozenset(header_key(name) for profile in PROFILES for name in (*profile.columns, *profile.left_out))
_REQUIRED_FOR: Final = {
    "customers": frozenset({"full_name", "first_name", "last_name", "company"}),
    "services": frozenset({"customer_login"}),
}


def known_columns(cells: Sequence[str]) -> int:
    """How many cells are names of columns of any layout: what finds the header below titles and blank lines."""
    return sum(1 for cell in cells if cell and len(cell) < 100 and header_key(cell) in _KNOWN)


def recognise(headers: Iterable[str]) -> Profile:
    """The layout whose marks are all among the headers, of several the one that knows most columns; else generic."""
    keys = {header_key(name) for name in headers}
    fitting = [p for p in PROFILES if p.recognised_by and all(header_key(name) in keys for name in p.recognised_by)]
    return max(fitting, key=lambda p: sum(header_key(name) in keys for name in p.columns), default=GENERIC)


class Mapping(Struct, frozen=True, forbid_unknown_fields=True):
    """What a person decided about a file. What is not said is found out."""

    format: str | None = None
    columns: dict[str, str | None] = {}
    """Field by column, as the file names it; null for not imported."""
    encoding: str | None = None
    delimiter: str | None = None
    sheet: str | None = None
    header_line: int | None = None
    country: str | None = None
    """Of records without one, for phone numbers and dates too; the tenant's by default."""
    currency: str | None = None
    status: str = "new"
    """Of records without one."""
    dates: DateStyle | None = None
    numbers: NumberStyle | None = None
    plans: dict[str, str] = {}
    """Our product by the file's name or number of a plan."""


def may_be_matched(column: str) -> bool:
    """Whether a column can go anywhere: cards, passwords and other secrets never do."""
    return NEVER.search(header_key(column)) is None


class Column(Struct, frozen=True):
    """A column of the file, and what becomes of it."""

    place: int
    name: str
    field: str | None
    why_not: str = ""
    """Why it is not imported."""


class Layout(Struct, frozen=True):
    """A profile matched to the columns of one file."""

    profile: Profile
    columns: tuple[Column, ...]

    def names_of(self, field: str) -> list[str]:
        return [column.name for column in self.columns if column.field == field]

    @property
    def imported(self) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if column.field is not None)


def lay_out(headers: Sequence[str], mapping: Mapping) -> Layout:
    """Match the columns of a file. Invalid where the mapping names what is not there, or what is never imported."""
    if mapping.format is not None and mapping.format not in BY_KEY:
        raise Invalid(
            _("There is no format “%(format)s”. There are: %(known)s.", format=mapping.format, known=", ".join(BY_KEY)),
            field="format",
        )
    profile = BY_KEY[mapping.format] if mapping.format else recognise(headers)
    changes = {name: value for name in ("dates", "numbers") if (value := getattr(mapping, name)) is not None}
    if changes:
        profile = msgspec.structs.replace(profile, **changes)
    chosen = {header_key(name): (name, field) for name, field in mapping.columns.items()}
    _check_mapping(headers, mapping)
    taken: set[str] = set()
    columns = []
    for place, name in enumerate(headers):
        columns.append(_column(place, name, profile, chosen, taken))
    if not _REQUIRED_FOR[profile.subject] & {column.field for column in columns}:
        there = ", ".join(headers[:30])
        raise Invalid(
            _(
                "No column says the login of its customer. The file has: %(there)s. Match the columns by hand.",
                there=there,
            )
            if profile.subject == "services"
            else _(
                "No column says the name of the customer. The file has: %(there)s. Match the columns by hand.",
                there=there,
            ),
            field="columns",
        )
    return Layout(profile, tuple(columns))


def _column(
    place: int, name: str, profile: Profile, chosen: dict[str, tuple[str, str | None]], taken: set[str]
) -> Column:
    plain = re.sub(r" \(\d+\)$", "", name)
    if not may_be_matched(plain):
        return Column(place, name, None, SECRET)
    key = header_key(name) if header_key(name) in chosen else header_key(plain)
    if key in chosen and chosen[key][1] is None:
        return Column(place, name, None, N_("Not wanted."))
    field = chosen[key][1] if key in chosen else profile.field_of(plain)
    if field is None:
        why = next((why for left, why in profile.left_out.items() if header_key(left) == key), "")
        return Column(place, name, None, why or N_("There is no field of this name."))
    if field in taken and field not in MANY:
        return Column(
            place, name, None, _("Another column goes to %(field)s already.", field=_(FIELDS.get(field, field)))
        )
    taken.add(field)
    return Column(place, name, field)


def _check_mapping(headers: Sequence[str], mapping: Mapping) -> None:
    keys = {header_key(name) for name in headers}
    for name, field in mapping.columns.items():
        if header_key(name) not in keys:
            there = ", ".join(headers[:30])
            raise Invalid(
                _("The file has no column “%(name)s”. It has: %(there)s.", name=name, there=there), field="columns"
            )
        if field is not None and field not in FIELDS and not OF_PLUGINS.fullmatch(field):
            raise Invalid(
                _("There is no field “%(field)s” for column “%(name)s”.", field=field, name=name), field="columns"
            )
        if field is not None and not may_be_matched(name):
            raise Invalid(
                _("Column “%(name)s” is never imported: cards, passwords and other secrets stay behind.", name=name),
                field="columns",
            )
