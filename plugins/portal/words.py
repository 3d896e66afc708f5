"""How states read to a customer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from core.subscriptions.pages import period_words
from core.texts import N_, _
from core.web.parts import Pill
from core.web.templating import written

if TYPE_CHECKING:
    from core.billing.schemas import DocumentRow
    from core.subscriptions.schemas import SubscriptionRow

INVOICES: Final = {
    "open": (N_("Open"), "new"),
    "partly_paid": (N_("Partly paid"), "warn"),
    "overdue": (N_("Overdue"), "blocked"),
    "paid": (N_("Paid"), "live"),
    "credited": (N_("Credited"), "ended"),
    "written_off": (N_("Closed"), "ended"),
    "invoiced": (N_("Invoice issued"), "ended"),
    "superseded": (N_("Superseded"), "ended"),
    "expired": (N_("Expired"), "ended"),
}
SERVICES: Final = {
    "pending": (N_("Waits for payment"), "warn"),
    "trial": (N_("On trial"), "new"),
    "active": (N_("Running"), "live"),
    "suspended": (N_("Suspended"), "blocked"),
    "paused": (N_("Paused"), "warn"),
    "ended": (N_("Ended"), "ended"),
    "withdrawn": (N_("Ended"), "ended"),
}
PAYMENTS: Final = {
    "pending": (N_("On its way"), "new"),
    "unknown": (N_("Being checked"), "warn"),
    "received": (N_("Received"), "live"),
    "part_reversed": (N_("Partly returned"), "warn"),
    "reversed": (N_("Returned"), "blocked"),
    "failed": (N_("Not paid"), "ended"),
}
KINDS: Final = {
    "invoice": N_("Invoice"),
    "credit_note": N_("Credit note"),
    "opening": N_("Balance taken over"),
    "proforma": N_("Pro forma"),
}
CYCLES: Final = {
    ("day", 1): N_("a day"),
    ("week", 1): N_("a week"),
    ("month", 1): N_("a month"),
    ("month", 3): N_("a quarter"),
    ("year", 1): N_("a year"),
}
UNITS: Final = {"day": N_("days"), "week": N_("weeks"), "month": N_("months"), "year": N_("years")}


def _pill(words: dict[str, tuple[str, str]], state: str) -> Pill:
    label, kind = words.get(state, (state.capitalize(), "ended"))
    return Pill(_(label), kind)


def invoice_pill(document: DocumentRow) -> Pill:
    if document.kind == "credit_note":
        return Pill(_("Credit note"), "ended")
    return _pill(INVOICES, document.settlement)


def payment_pill(state: str) -> Pill:
    return _pill(PAYMENTS, state)


def service_pill(service: SubscriptionRow) -> Pill:
    return _pill(SERVICES, service.state)


def kind_of(document: DocumentRow) -> str:
    return _(KINDS.get(document.kind, "Document"))


def cycle_of(service: SubscriptionRow) -> str:
    """ "a month", "every 2 weeks"."""
    known = CYCLES.get((service.cycle_unit, service.cycle_count))
    if known is not None:
        return _(known)
    return _("every %(count)s %(units)s", count=service.cycle_count, units=_(UNITS[service.cycle_unit]))


def pause_of(service: SubscriptionRow, locale: str) -> str:
    """Its days without service, planned or running."""
    if service.pause_from is None or service.pause_to is None:
        return ""
    return period_words(service.pause_from, service.pause_to, locale)


def what_is_next(service: SubscriptionRow, locale: str) -> str:
    """One line on what happens next with a service."""

    def day(on: object) -> str:
        return written(on, locale)

    if service.state in ("ended", "withdrawn"):
        return _("Ended on %(day)s", day=day(service.ended_on)) if service.ended_on else ""
    if service.state == "pending":
        return _("Starts when its invoice is paid")
    if service.state == "paused" and service.pause_to is not None:
        return _("Goes on by itself on %(day)s", day=day(service.pause_to))
    if service.ends_on is not None:
        return _("Ends on %(day)s", day=day(service.ends_on))
    if service.state == "trial" and service.trial_ends_on is not None:
        return _("On trial until %(day)s", day=day(service.trial_ends_on))
    if service.next_from is not None:
        return _("Next period from %(day)s", day=day(service.next_from))
    return ""
