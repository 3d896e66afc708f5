"""What no record of a file knows alone: a login that occurs twice, a service in a record of its own, sub-accounts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b

import msgspec

from core.customers.importing.profiles import Layout
from core.customers.importing.records import Finding, ImportedCustomer, Row
from core.ids import sort_key
from core.texts import N_, _


class Gathering:
    """The records of a file in order: duplicates among them, services that stand in records of their own, sub-accounts.

    Keeps sixteen bytes a key, whatever the records hold.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._profile = layout.profile
        self._seen: dict[str, dict[bytes, int]] = {"login": {}, "email": {}, "external_ref": {}, "service_login": {}}
        self._above: Row | None = None
        self._above_was_refused = False
        self._wanted: list[tuple[Row, str, str]] = []

    def add(self, rows: Sequence[Row]) -> Iterator[Row]:
        """The same rows, judged. One that continues the customer above carries no customer of its own."""
        for row in rows:
            yield self._continued(row) if row.continues or self._repeats(row) else self._judged(row)

    def finish(self) -> Iterator[Finding]:
        """Warnings that only the end of the file can tell."""
        known = self._seen["external_ref"]
        for row, field, ref in self._wanted:
            if _digest(ref) not in known:
                bare = ref.removeprefix(f"{self._profile.prefix}:")
                column = ", ".join(self._layout.names_of(field))
                below = _(
                    "Sub-account %(ref)s is not imported. It is linked where it is here already, else left out.",
                    ref=bare,
                )
                above = _(
                    "Parent %(ref)s is not imported. It is linked where it is here already, else left out.", ref=bare
                )
                message = below if field == "children" else above
                yield Finding(row.record, column, message, row.line, row.name, bare)

    def _repeats(self, row: Row) -> bool:
        above = self._above.customer if self._above else None
        return (
            self._profile.repeats == "same reference"
            and row.customer is not None
            and above is not None
            and bool(row.customer.external_ref)
            and row.customer.external_ref == above.external_ref
            and row.customer.login_key == above.login_key
        )

    def _continued(self, row: Row) -> Row:
        if not row.errors and self._above is None:
            return _refused(row, "", _("There is no customer above that it could belong to."))
        if not row.errors and self._above_was_refused and self._above is not None:
            return _refused(row, "", _("It belongs to record %(record)s, which is refused.", record=self._above.record))
        return self._services_once(msgspec.structs.replace(row, customer=None, continues=True))

    def _judged(self, row: Row) -> Row:
        customer = row.customer
        if customer is not None:
            keys = [(name, key, _digest(key), message) for name, key, message in self._keys(customer)]
            for name, key, digest, message in keys:
                first = self._seen[name].get(digest)
                if first is not None:
                    row = _refused(row, self._column_of(name), _(message, record=first), key)
                    break
            else:
                for name, __, digest, __ in keys:
                    self._seen[name][digest] = row.record
                row = self._warned_of_shared_email(row, customer)
                self._wanted.extend((row, "children", ref) for ref in customer.child_refs)
                if customer.parent_ref:
                    self._wanted.append((row, "parent", customer.parent_ref))
        if self._profile.subject == "customers":
            self._above, self._above_was_refused = row, row.customer is None
        return self._services_once(row)

    def _keys(self, customer: ImportedCustomer) -> Iterator[tuple[str, str, str]]:
        """What tells customers apart: login and number; the e-mail where it is the login, or there is nothing else."""
        if customer.login_key:
            yield "login", customer.login_key, N_("Record %(record)s has the same login.")
        if customer.external_ref:
            yield "external_ref", customer.external_ref, N_("Record %(record)s has the same number.")
        alone = not customer.login_key and not customer.external_ref
        if customer.email_key and (self._profile.identity == "email" or alone):
            yield (
                "email",
                customer.email_key,
                N_("Record %(record)s has the same e-mail, and it is what one logs in with."),
            )

    def _warned_of_shared_email(self, row: Row, customer: ImportedCustomer) -> Row:
        if not customer.email_key or self._profile.identity == "email":
            return row
        first = self._seen["email"].setdefault(_digest(customer.email_key), row.record)
        if first == row.record:
            return row
        message = _("Record %(record)s has the same e-mail.", record=first)
        found = Finding(row.record, self._column_of("email"), message, row.line, row.name, customer.email_key)
        return msgspec.structs.replace(row, warnings=(*row.warnings, found))

    def _services_once(self, row: Row) -> Row:
        for service in row.services:
            if not service.login:
                continue
            key = _digest(sort_key(service.login))
            first = self._seen["service_login"].setdefault(key, row.record)
            if first != row.record:
                message = _("Record %(record)s has a service with the same login.", record=first)
                found = Finding(
                    row.record, self._column_of("service_login"), message, row.line, row.name, service.login
                )
                return msgspec.structs.replace(row, services=(), errors=(*row.errors, found))
        return row

    def _column_of(self, field: str) -> str:
        return next(iter(self._layout.names_of(field)), "")


def _refused(row: Row, column: str, message: str, value: str = "") -> Row:
    found = Finding(row.record, column, message, row.line, row.name, value[:100])
    return msgspec.structs.replace(row, customer=None, services=(), errors=(*row.errors, found))


def _digest(key: str) -> bytes:
    return blake2b(key.encode("utf-8", "replace"), digest_size=16).digest()
