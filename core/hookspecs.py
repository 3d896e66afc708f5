"""Everything that a plugin can be asked or told while it runs. What a plugin *is* (routes, tables, settings) stands in
its manifest; here is what it *does*.

A plugin implements a hook with a function of the same name in its `plugin.py`, marked `@hookimpl`; it may leave out
arguments. The kind of a hook can be seen from its name:

- nouns (`customer_tabs`) are asked for each view. They only read. One that raises, or takes longer than two seconds,
  stands as an error card with an id in its place; the page and the other plugins go on. A page has a budget of queries:
  ask in bulk.
- `validate_*` is asked inside the transaction, before the change, in a read-only savepoint, within two seconds. It
  refuses by raising a `DomainError` whose message tells the person why. Any other fault refuses too, in the plugin's
  name. Set-based work (the billing run, an import) asks none.
- `plan_*` is asked for its part of a change before it is made; what it answers is carried out in the same unit of work.
  Where one cannot say, nothing is done.
- `collect_*` gives SQL to a set-based run: one call for the whole run.
- the past tense (`invoice_issued`) tells what happened, after the commit, in the order of commits: always a sequence of
  facts, each exactly once. The rows may have moved on since: load them. The handler's writes commit together with its
  place in the log, so it has no other effects: mail, HTTP and files are jobs. It hears nothing from before it was
  switched on. After a fault it is called again after 5 and 60 seconds, then the fact is set aside; after three in a row
  delivery pauses and keeps the place. The manifest names these hooks in `events`.

The first argument is always the scope: the tenant, the actor, its permissions and the clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.hooks.markers import hookspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from core.billing.events import BillingRunFinished, InvoiceIssued, InvoiceSettled
    from core.customers.events import CustomerChanged, CustomerCreated, CustomerStatusChanged
    from core.hooks import (
        Action,
        BulkAction,
        Card,
        CellValue,
        ChargeSource,
        Column,
        CurrencyLock,
        Effect,
        Erasure,
        Fact,
        FirstStep,
        ImportStep,
        KnownCustomer,
        MessageLink,
        Panel,
        PaymentGateway,
        PortalPage,
        SearchHit,
        Tab,
        VatChecker,
    )
    from core.payments.events import PaymentReceived
    from core.scope import Scope
    from core.settings.events import PluginDisabled, PluginEnabled
    from core.subscriptions.events import SubscriptionActivated, SubscriptionEnded


# ------------------------------------------------------------------ a customer's page


@hookspec
async def customer_tabs(scope: Scope, customer_id: int, customer: KnownCustomer) -> Sequence[Tab]:
    """Further tabs of a customer's page.

    Asked for every tab of that page, so that all of them show the same row of tabs. Leave a tab out for an actor
    without the permission to open it.

    Not asked for the list of customers, the portal or the API.

    Since 1.0.
    """
    raise NotImplementedError


@hookspec
async def customer_facts(scope: Scope, customer_id: int, customer: KnownCustomer) -> Sequence[Fact]:
    """Facts in the head of a customer's page, on every tab: at most two, each a few words.

    Not asked for the list of customers, the portal or the API.

    Since 1.0.
    """
    raise NotImplementedError


@hookspec
async def customer_panels(scope: Scope, customer_id: int) -> Sequence[Panel]:
    """Cards at the side of a customer's overview, each a template of the plugin's own filled with plain values.

    Give none where there is nothing to show: an empty card helps nobody.

    Not asked on other tabs than the overview, nor when the page is only updated after a section was saved.

    Since 1.0.
    """
    raise NotImplementedError


@hookspec
async def customer_actions(scope: Scope, customer_id: int, customer: KnownCustomer) -> Sequence[Action]:
    """Further entries of a customer's Actions menu.

    Give an action that is not possible now with the reason in `refused`; leave it out where the permission is missing.

    Not asked for rows of a list.

    Since 1.0.
    """
    raise NotImplementedError


@hookspec
async def plan_customer_status_change(scope: Scope, customer_id: int, status_key: str, on: date) -> Sequence[Effect]:
    """What follows for this plugin when the customer's status becomes `status_key` on that date.

    Asked inside the unit of work of the change, after `validate_customer_status_change`; it only reads. Each effect's
    `apply(scope)` runs in the same unit of work, after the status has moved.

    Not asked for customers that are created or imported with a status: hear `customer_created` for those.

    Since 1.0.
    """
    raise NotImplementedError


@hookspec
async def plan_customer_erasure(scope: Scope, customer_ids: Sequence[int]) -> Erasure:
    """What this plugin holds of customers who are to be anonymised or deleted: who cannot be yet, and what is erased.

    Asked inside the unit of work, for many at once: answer with a few queries. It only reads; each effect's
    `apply(scope)` runs in the same unit of work, where nobody is refused. Erased is whatever names a person or was
    written by or to one: names, addresses, notes, references, files. Ids, amounts and days stay.

    Not asked when a customer leaves in any other way: ended statuses keep everything.

    Since 1.0.
    """
    raise NotImplementedError


@hookspec
async def plan_customer_to_lead(scope: Scope, customer_id: int) -> Sequence[Effect]:
    """What this plugin makes of a customer that becomes a lead. To answer is to take leads: where no plugin does, no
    customer can become one.

    The plugin brings the status of the key `lead` and the ways to and from `new`. Asked inside the unit of work of the
    change, for a new customer without a posting, document, charge or subscription; it only reads. Each effect's
    `apply(scope)` runs in the same unit of work, after the status has moved.

    Not asked for leads that are made as such.

    Since 1.0.
    """
    raise NotImplementedError


@hookspec
async def plan_customer_payer_change(scope: Scope, customer_id: int, payer_id: int) -> Sequence[Effect]:
    """What follows for this plugin when another customer pays for this one; `payer_id` is its own id where it pays.

    Asked inside the unit of work of the change; it only reads. What is invoiced already stays with the old payer. Each
    effect's `apply(scope)` runs in the same unit of work, after the payer has changed.

    Not asked when only the parent changes, nor for customers that are created or imported with a payer.

    Since 1.0.
    """
    raise NotImplementedError


@hookspec
async def plan_customer_status_date(
    scope: Scope, customer_id: int, status_key: str, on: date | None
) -> Sequence[Effect]:
    """What this plugin sets at once because the customer's status will become `status_key` on a later day, such as the
    end of a contract; `on` is None when that was given up, and what was set for it is taken back.

    Asked inside the unit of work that plans or cancels the change; each effect's `apply(scope)` runs in it.

    Not asked when the day has come (`plan_customer_status_change`), nor for a change that is made at once.

    Since 1.0.
    """
    raise NotImplementedError


@hookspec
async def plan_status_effects_change(
    scope: Scope, status_id: int, before: Mapping[str, bool], after: Mapping[str, bool]
) -> Sequence[Effect]:
    """What follows for this plugin when a status of the tenant gets other effects, for all customers that have it.

    `before` and `after` hold the switches bill, serve, log_in, notify, dun, may_order and may_delete. Asked inside the
    unit of work of the change; each effect's `apply(scope)` runs in it, after the switches were written. What would
    take long leaves jobs.

    Not asked for a status that no customer has, nor when it is only renamed, recoloured or moved.

    Since 1.0.
    """
    raise NotImplementedError


@hookspec
def collect_currency_locks(scope: Scope) -> Sequence[CurrencyLock]:
    """What keeps a customer in its main currency, as conditions over the plugin's own tables, each with its reason.

    All of them go into one statement, when the currency is changed and each time that its form is opened. A plain
    function: it queries nothing itself. What cannot be said so is for `validate_customer_currency_change`.

    Not asked when a customer is created or imported.

    Since 1.0.
    """
    raise NotImplementedError


@hookspec
async def validate_customer_currency_change(scope: Scope, customer_id: int, currency: str) -> None:
    """Refuse another main currency for a customer by raising a DomainError: what is written in its old one stays there.

    Asked for the form as well, with the currency that the customer has: the reason then stands in place of the field.

    Not asked when a customer is created or imported, nor while its currency stays.

    Since 1.0.
    """


@hookspec
async def validate_customer_status_change(scope: Scope, customer_id: int, status_key: str, reason: str) -> None:
    """Refuse a change of a customer's status by raising a DomainError.

    `reason` is why it changes: hand, dunning, balance, schedule.

    Not asked when a customer is created or imported, nor for a change to the status that it already has.

    Since 1.0.
    """


# ------------------------------------------------------------------ the list of customers


@hookspec
async def customer_columns(scope: Scope) -> Sequence[Column]:
    """Further columns of the list of customers, behind its own.

    The same for every customer; the key begins with the plugin's name and a point.

    Not asked once a row.

    Since 1.0.
    """
    raise NotImplementedError


@hookspec
async def customer_column_values(
    scope: Scope, customer_ids: Sequence[int], keys: Sequence[str]
) -> Mapping[str, Mapping[int, CellValue]]:
    """The values of the plugin's columns for these customers, by the column's key and the customer's id.

    One call for all rows that are shown: answer with one query. `keys` are the columns shown, those of other plugins
    among them. A customer that is left out gets an empty cell.

    Not asked for an empty list, nor while no plugin has columns.

    Since 1.0.
    """
    raise NotImplementedError


# ------------------------------------------------------------------ every list


@hookspec
async def bulk_actions(scope: Scope, listing: str) -> Sequence[BulkAction[Any]]:
    """Further deeds that can be done to many rows of a list at once, in the bar over it while rows are ticked.

    `listing` names the list: `customers`, or a plugin's name and a point (`inventory.items`). Answer the same for every
    row; what a deed must ask the database, it asks in its `fields`. Each first shows what it would do, then runs as a
    job with a report row by row, and can be asked for over JSON too. An actor without a deed's permission does not see
    it.

    Not asked for a list whose rows cannot be ticked.

    Since 1.0.
    """
    raise NotImplementedError


# ------------------------------------------------------------------ every page


@hookspec
async def dashboard_cards(scope: Scope) -> Sequence[Card]:
    """Figures on the dashboard.

    The page waits for all cards together 0.3 s: who is not done by then is broken off and asked again behind the page,
    with 20 s for all. Nothing is kept: a figure that is dear to work out belongs in a table of the plugin's own.

    Not asked on any other page.

    Since 1.0.
    """
    raise NotImplementedError


@hookspec
async def first_steps(scope: Scope) -> Sequence[FirstStep]:
    """Steps of setting up that this feature or plugin wants seen on the start page until they are done.

    Leave a step out for an actor without the permission to do it.

    Not asked on any other page than the start page.

    Since 1.0.
    """
    raise NotImplementedError


@hookspec
async def search_results(scope: Scope, text: str, limit: int) -> Sequence[SearchHit]:
    """What the plugin finds for the search on top of every page, the best first, at most `limit`.

    Only what the actor may see.

    Not asked for less than two characters.

    Since 1.0.
    """
    raise NotImplementedError


# ------------------------------------------------------------------ the customers' portal


@hookspec
async def portal_pages(scope: Scope) -> Sequence[PortalPage]:
    """Further pages of the customers' portal, as entries of its menu.

    Asked once for each page of the portal: answer without a query. The page itself is a route of the plugin under
    /portal/NAME; its manifest needs the portal, its template extends "portal/base.html". `scope.actor.reach` names the
    customer, whoever looks at it.

    Not asked for pages of the staff, nor before somebody is logged in.

    Since 1.0.
    """
    raise NotImplementedError


@hookspec
async def portal_cards(scope: Scope, customer_id: int) -> Sequence[Panel]:
    """Cards on the first page of the customers' portal, each a template of the plugin's own filled with plain values.

    Give none where there is nothing to show. Only what is the customer's.

    Not asked on other pages of the portal, nor for pages of the staff.

    Since 1.0.
    """
    raise NotImplementedError


# ------------------------------------------------------------------ customers, told afterwards


@hookspec
async def customer_created(scope: Scope, events: Sequence[CustomerCreated]) -> None:
    """Customers were created, by hand, by the API or by an import.

    Not told for customers who were there before the plugin was switched on.

    Since 1.0.
    """


@hookspec
async def customer_changed(scope: Scope, events: Sequence[CustomerChanged]) -> None:
    """Data of customers were changed. Which, stands in the activity.

    Not told for a change of status (`customer_status_changed`), nor when somebody saved without changing anything.

    Since 1.0.
    """


@hookspec
async def customer_status_changed(scope: Scope, events: Sequence[CustomerStatusChanged]) -> None:
    """Customers have another status; with the keys of the old and the new one, and the reason.

    Not told for the status that a customer was created with, nor when a status is renamed or gets other effects.

    Since 1.0.
    """


# ------------------------------------------------------------------ imports of customers


@hookspec
async def plan_import(scope: Scope, batch_id: int) -> Sequence[ImportStep]:
    """What can be made of the records of an import whose customers are here: balances, subscriptions, devices.

    Each step has a page of its own behind the import's: what would happen, what is to be chosen, then the deed in
    chunks, which may be broken off and goes on where it was. Answer with what the tenant has; which records there are
    for a step, the core asks itself.

    Not asked before the customers are made, nor for a file that is only checked.

    Since 1.0.
    """
    raise NotImplementedError


# ------------------------------------------------------------------ subscriptions


@hookspec
async def validate_subscription_start(scope: Scope, customer_id: int, product_id: int, starts_on: date) -> None:
    """Refuse a new subscription (free, trial or paid) by raising a DomainError.

    Not asked again when a pending one becomes active because its invoice was settled, nor for imported subscriptions.

    Since 1.0.
    """


@hookspec
async def subscription_activated(scope: Scope, events: Sequence[SubscriptionActivated]) -> None:
    """Subscriptions are live: activated free, on trial, taken over by an import, or because their first invoice was
    settled.

    Not told when a trial becomes a paid subscription, nor at a renewal.

    Since 1.0.
    """


@hookspec
async def subscription_ended(scope: Scope, events: Sequence[SubscriptionEnded]) -> None:
    """Subscriptions are over: expired, terminated, withdrawn, or never paid for.

    Not told when an end is set for a later date: that is a plan, and can be undone.

    Since 1.0.
    """


# ------------------------------------------------------------------ money


@hookspec
def collect_charges(scope: Scope, as_of: date) -> Sequence[ChargeSource]:
    """What the plugin wants charged by this date, as SELECTs over its own tables (usage, fees).

    One call for a whole billing run or its preview; `as_of` is the date that the run bills up to. A plain function: it
    queries nothing itself. What was charged once under a `source_key` is not charged again, so the SELECT need not
    remember.

    Not asked for an invoice that is made by hand. Its rows for customers that are not billed are left for a later run.

    Since 1.0.
    """
    raise NotImplementedError


@hookspec
async def invoice_issued(scope: Scope, events: Sequence[InvoiceIssued]) -> None:
    """Invoices were issued: they have their number and cannot change any more.

    Not told for drafts, credit notes or proformas.

    Since 1.0.
    """


@hookspec
async def invoice_settled(scope: Scope, events: Sequence[InvoiceSettled]) -> None:
    """Nothing is open on these invoices any more: paid, credited, or of a total of zero.

    Told again if an invoice was re-opened by a refund or a chargeback and settled once more. Not told for a part
    payment.

    Since 1.0.
    """


@hookspec
async def payment_gateways(scope: Scope) -> Sequence[PaymentGateway]:
    """Ways to pay online that are set up: what customers are offered, and who is asked what became of a payment.

    Give one as long as payments of it may still be on their way, and none before it is set up. The core keeps the
    states, the books and the retries; a gateway says what happened, as often as it likes.

    Not asked where nothing can be paid online, such as for payments that are registered by hand.

    Since 1.0.
    """
    raise NotImplementedError


@hookspec
async def vat_checkers(scope: Scope) -> Sequence[VatChecker]:
    """Services that are set up to say whether a VAT id is valid; the first is the one that is asked.

    Give none before it is set up. The core asks by itself once an answer is thirty days old, and when staff press Check
    now; it keeps the answers and works out the tax. A plugin that wants new ids asked about at once hears
    `customer_created` and `customer_changed` and calls `core.billing.vat_asking.ask_soon`.

    Not asked when an invoice is issued: what counts is the last answer that was kept.

    Since 1.0.
    """
    raise NotImplementedError


@hookspec
async def choose_payment_link(scope: Scope, document_id: int, currency: str) -> str | None:
    """Where an invoice can be paid online: the whole address, which goes into its e-mail. The first answer counts.

    Asked once for each document that is sent. None where nothing can be paid.

    Not asked for credit notes, nor for what is paid already.

    Since 1.0.
    """
    raise NotImplementedError


@hookspec
async def message_links(scope: Scope, kind: str, customer_id: int, document_id: int | None) -> Sequence[MessageLink]:
    """Links that a message to a customer carries; its words write them where they say `links`.

    `kind` is the message's: `invoice`, `payment_reminder`, `payment_warning`, `service_blocked`, and, without a
    document, `prepaid_not_covered` and `prepaid_coming`. Labels are read in the language of the message.

    Not asked for messages to the staff, nor for those that are written by hand.

    Since 1.0.
    """
    raise NotImplementedError


@hookspec
async def payment_received(scope: Scope, events: Sequence[PaymentReceived]) -> None:
    """Money came in and is the customer's credit.

    Not told for payments that are pending, nor for credit that comes from a credit note or from goodwill.

    Since 1.0.
    """


@hookspec
async def billing_run_finished(scope: Scope, events: Sequence[BillingRunFinished]) -> None:
    """A billing run is done with every chunk; its invoices were told one by one before.

    Not told for a preview, nor for a run that found nothing due.

    Since 1.0.
    """


# ------------------------------------------------------------------ plugins


@hookspec
async def plugin_enabled(scope: Scope, events: Sequence[PluginEnabled]) -> None:
    """Plugins were switched on for this tenant; a plugin hears of itself too, as the first thing.

    Not told when a plugin is upgraded, nor when the tenant itself is suspended and resumed.

    Since 1.0.
    """


@hookspec
async def plugin_disabled(scope: Scope, events: Sequence[PluginDisabled]) -> None:
    """Other plugins were switched off for this tenant; their data are kept.

    Not told to the plugin itself: nothing of it runs from then on.

    Since 1.0.
    """
