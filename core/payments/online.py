"""Payments through gateways: begun, settled by what the gateway says, asked about when it says nothing, paid back.

A payment is pending from before the payer is sent to the gateway, and becomes received by one compare-and-set, however
often and in whatever order the gateway tells of it. The gateway is called between two commits, never inside one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from msgspec import Meta, Struct

from core.activity.unit import record, unit_of_work
from core.billing.actions import allocate_credit, open_credit
from core.billing.actions.allocation import in_base, lock_balance
from core.billing.tables import Document
from core.customers.tables import Customer
from core.database import execute, row, rows, value, within
from core.errors import Conflict, Invalid, NotFound, Unavailable
from core.hooks import GatewayNews, PayBack, PaymentGateway, PayOrder
from core.ids import Id, new_token
from core.jobs.actions import enqueue
from core.ledger.accounts import Code
from core.ledger.posting import credit, debit, post
from core.money import format_amount
from core.payments.events import (
    OnlinePaymentBegun,
    OnlinePaymentFailed,
    OnlinePaymentUnclear,
    PaymentReceived,
)
from core.payments.gateways import answer_of, find_gateway, method_of
from core.payments.paying_back import REFUND, Refund, settle_refund
from core.payments.payouts import book_payout
from core.payments.status import PaymentState
from core.payments.tables import Payment
from core.scope import plugin_actor
from core.texts import _, ngettext

if TYPE_CHECKING:
    from core.scope import Scope

ASK: Final = "ask_gateway"
"""Name of the job kind, declared in `jobs`."""
SAME_FOR: Final = timedelta(minutes=30)
"""How long somebody who wants to pay the same again is sent to the page that it was sent to before."""
ASKS_AFTER: Final = (
    timedelta(minutes=10),
    timedelta(minutes=20),
    timedelta(hours=1),
    timedelta(hours=4),
    timedelta(hours=12),
)
"""Waits before the gateway is asked, one after the other; then a day each."""
GIVEN_UP_AFTER: Final = timedelta(days=3)
"""A payer who has not paid by then never came back, if the gateway knows of no money."""
ASKS_ONCE_GIVEN_UP: Final = (timedelta(days=1), timedelta(days=2), timedelta(days=4), timedelta(days=7))
"""Waits before the gateway is asked about one that was given up: the payer may still pay on its page, and not every
gateway tells of it by itself. After the last it is listed for a person."""
MOST_DOCUMENTS: Final = 100
WAITING: Final = (PaymentState.PENDING, PaymentState.UNKNOWN)
BY_HAND: Final = "by-hand:"
"""How the event begins of a payment that a person settled."""


class PayOnline(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Open invoices of a payer that are paid at once, through one gateway."""

    payer_id: Id
    document_ids: Annotated[list[Id], Meta(min_length=1, max_length=MOST_DOCUMENTS)]
    gateway: Annotated[str, Meta(min_length=1, max_length=60)]


class Begun(Struct, frozen=True):
    """A payment that was begun, and the page where the payer goes on. `unknown` is one that was begun before: nobody
    knows yet whether it came, and it is not charged again."""

    payment_id: int
    href: str
    state: PaymentState = PaymentState.PENDING


class StillUnclear(Conflict):
    """An earlier payment of one of these invoices may have come."""

    def __init__(self, payment_id: int) -> None:
        super().__init__(
            _(
                "Nobody knows yet whether an earlier payment came that one of these invoices is part of. The gateway is"
                " asked again by itself; look at that payment before you pay again."
            )
        )
        self.payment_id = payment_id

    @property
    def details(self) -> Mapping[str, object]:
        return {"payment_id": self.payment_id}


class AskGateway(Struct, frozen=True):
    """Whose payment a gateway is asked about; `after`: how often it was since it was given up."""

    payment_id: int
    after: int | None = None


class Online(Struct, frozen=True, kw_only=True):
    """A payment on its way through a gateway."""

    payment_id: int
    payer_id: int
    state: PaymentState
    currency: str
    amount_minor: int
    gateway: str
    key: str
    reference: str
    page: str
    documents: str
    reason: str
    begun_by: str
    asked: int
    given_up_at: datetime | None
    asked_after: int
    created_at: datetime

    @property
    def is_asked_after(self) -> bool:
        """Given up, and nobody knows for certain that no money comes."""
        return self.state is PaymentState.FAILED and self.given_up_at is not None

    @property
    def is_for_a_person(self) -> bool:
        """The gateway was asked to the last time since it was given up, and has not said."""
        return self.is_asked_after and self.asked_after >= len(ASKS_ONCE_GIVEN_UP)


ONLINE: Final = (
    "SELECT payment.id AS payment_id, payment.payer_id, payment.state, payment.currency, payment.amount_minor,"
    " o.gateway, o.key, o.reference, o.page, o.documents, o.reason, o.begun_by, o.asked,"
    " o.given_up_at, o.asked_after, payment.created_at FROM payment JOIN online_payment o ON o.payment_id = payment.id"
)


async def get_online(scope: Scope, payment_id: int) -> Online:
    """A payment in reach that goes through a gateway, or NotFound."""
    found = await row(
        Online,
        f"{ONLINE} WHERE payment.id = :id AND :within",
        id=payment_id,
        within=within(Payment, scope.actor.reach),
    )
    if found is None:
        raise NotFound(f"online payment {payment_id}")
    return found


class OnlineItem(Struct, frozen=True, kw_only=True):
    """How a payment goes through a gateway: who began it, the invoices that it is for, why it failed or is unclear.

    `given_up`: nobody waits for it, though the gateway has not said that no money comes. `for_a_person`: it was asked
    about to the last time since, so that only a person can find out.
    """

    payment_id: int
    state: PaymentState
    gateway: str
    reference: str
    document_ids: list[int]
    reason: str
    begun_by: str
    asked: int
    given_up: bool
    for_a_person: bool


def item_of(found: Online) -> OnlineItem:
    return OnlineItem(
        payment_id=found.payment_id,
        state=found.state,
        gateway=found.gateway,
        reference=found.reference,
        document_ids=msgspec.json.decode(found.documents, type=list[int]),
        reason=found.reason,
        begun_by=found.begun_by,
        asked=found.asked,
        given_up=found.is_asked_after,
        for_a_person=found.is_for_a_person,
    )


async def find_online(scope: Scope, payment_id: int) -> OnlineItem | None:
    """As `get_online`, for a page; None where the payment came in another way."""
    found = await row(
        Online,
        f"{ONLINE} WHERE payment.id = :id AND :within",
        id=payment_id,
        within=within(Payment, scope.actor.reach),
    )
    return item_of(found) if found is not None else None


# ------------------------------------------------------------------ paying


class _Due(Struct, frozen=True):
    id: int
    number: str | None
    currency: str
    open_minor: int


async def begin_payment(scope: Scope, data: PayOnline, *, back: str) -> Begun:
    """Order the money at the gateway; gives the page where the payer goes on.

    `back` is the path that the payer returns to, with {payment_id} in it. Whoever wants to pay the same again within
    half an hour, or while nobody knows whether it came, is sent to the page that it was sent to before. Raises
    StillUnclear while one of the invoices is in another payment of which nobody knows, and Unavailable where the
    gateway does not answer: nothing is charged then.
    """
    scope.refuse_on_test_clock()
    acting, gateway = await find_gateway(scope, data.gateway)
    async with unit_of_work(scope):
        documents = await _due(scope, data)
        currency, amount = documents[0].currency, sum(each.open_minor for each in documents)
        if not gateway.takes(currency):
            raise Invalid(_("This way to pay takes no %(currency)s.", currency=currency), field="gateway")
        await lock_balance(data.payer_id, currency)
        ids = msgspec.json.encode([each.id for each in documents]).decode()
        online = await _same(scope, data, ids, amount)
        await _refuse_unclear(scope, data, online)
        if online is None:
            online = await _order(scope, acting, gateway, data.payer_id, documents, ids)
    if online.page:
        return Begun(online.payment_id, online.page, online.state)
    order = PayOrder(
        key=online.key,
        amount_minor=amount,
        currency=currency,
        text=_what(documents),
        back=f"{scope.tenant.address}{back.format(payment_id=online.payment_id)}",
        notify=f"{scope.tenant.address}/api/v1/gateways/{gateway.key}/notifications",
        language=scope.locale,
    )
    page = await answer_of(
        gateway,
        lambda: gateway.begin(acting, order),
        _("%(gateway)s does not answer. Nothing was paid; try again later.", gateway=_(gateway.label)),
    )
    async with unit_of_work(acting):
        await execute(
            "UPDATE online_payment SET reference = :reference, page = :page WHERE payment_id = :id",
            id=online.payment_id,
            reference=page.reference,
            page=page.href,
        )
    return Begun(online.payment_id, page.href, online.state)


async def _due(scope: Scope, data: PayOnline) -> list[_Due]:
    """The invoices, all of them open, the payer's and in one currency; the oldest due first."""
    wanted = set(data.document_ids)
    found = await rows(
        _Due,
        "SELECT document.id, document.number, document.currency, s.open_minor FROM document"
        " JOIN document_state s ON s.document_id = document.id WHERE document.id IN :ids"
        " AND document.payer_id = :payer AND document.state = 'issued' AND document.kind IN ('invoice', 'opening')"
        " AND :within ORDER BY s.due_on, document.id",
        ids=sorted(wanted),
        payer=data.payer_id,
        within=within(Document, scope.actor.reach),
    )
    if len(found) != len(wanted):
        raise NotFound("invoice to pay")
    due = [each for each in found if each.open_minor > 0]
    if not due:
        raise Conflict(_("Nothing is open on it any more."))
    if len({each.currency for each in due}) > 1:
        raise Invalid(_("Invoices in several currencies are paid one currency after the other."), field="document_ids")
    return due


def _what(documents: Sequence[_Due]) -> str:
    if len(documents) == 1:
        return _("Invoice %(number)s", number=documents[0].number or documents[0].id)
    return ngettext("%(num)s invoice", "%(num)s invoices", len(documents))


async def _same(scope: Scope, data: PayOnline, documents: str, amount: int) -> Online | None:
    """The payment of just this that somebody has begun a moment ago, or of which nobody knows, however old."""
    return await row(
        Online,
        f"{ONLINE} WHERE payment.payer_id = :payer AND (payment.state = 'unknown'"
        " OR (payment.state = 'pending' AND payment.created_at > :since)) AND o.gateway = :gateway"
        " AND o.documents = :documents AND payment.amount_minor = :amount"
        " AND :within ORDER BY payment.id DESC LIMIT 1",
        payer=data.payer_id,
        gateway=data.gateway,
        documents=documents,
        amount=amount,
        since=scope.now() - SAME_FOR,
        within=within(Payment, scope.actor.reach),
    )


async def _refuse_unclear(scope: Scope, data: PayOnline, same: Online | None) -> None:
    """Nothing is charged beside a payment that may have come."""
    unclear = await rows(
        Online,
        f"{ONLINE} WHERE payment.payer_id = :payer AND payment.state = 'unknown' AND :within ORDER BY payment.id",
        payer=data.payer_id,
        within=within(Payment, scope.actor.reach),
    )
    wanted = set(data.document_ids)
    for each in unclear:
        if same is not None and each.payment_id == same.payment_id:
            continue
        if wanted & set(msgspec.json.decode(each.documents, type=list[int])):
            raise StillUnclear(each.payment_id)


async def _order(
    scope: Scope, acting: Scope, gateway: PaymentGateway, payer_id: int, documents: Sequence[_Due], ids: str
) -> Online:
    """The row that stands before anything is asked of the gateway, and the job that asks what became of it."""
    found = await value(
        "SELECT id FROM customer WHERE id = :id AND :within", id=payer_id, within=within(Customer, scope.actor.reach)
    )
    if found is None:
        raise NotFound(f"customer {payer_id}")
    currency, amount, key = documents[0].currency, sum(each.open_minor for each in documents), new_token()
    payment_id = int(
        await value(
            "INSERT INTO payment (payer_id, method_id, state, currency, amount_minor, bank_currency,"
            " bank_amount_minor, received_on, reference, names_document_id, provider, provider_event_id, created_at)"
            " VALUES (:payer_id, :method_id, 'pending', :currency, :amount, :currency, :amount, :today, :reference,"
            " :document_id, :provider, :key, :now) RETURNING id",
            payer_id=payer_id,
            method_id=await method_of(gateway),
            currency=currency,
            amount=amount,
            today=scope.today(),
            reference=_what(documents),
            document_id=documents[0].id if len(documents) == 1 else None,
            provider=gateway.key,
            key=key,
            now=scope.now(),
        )
    )
    await execute(
        "INSERT INTO online_payment (payment_id, gateway, key, documents, begun_by)"
        " VALUES (:id, :gateway, :key, :documents, :by)",
        id=payment_id,
        gateway=gateway.key,
        key=key,
        documents=ids,
        by=scope.actor.key,
    )
    record(
        scope,
        OnlinePaymentBegun(payment_id=payment_id, customer_id=payer_id, amount_minor=amount, currency=currency),
    )
    await _ask_later(acting, payment_id, payer_id, 0)
    return await get_online(scope, payment_id)


# ------------------------------------------------------------------ what the gateway says


async def take_notification(scope: Scope, gateway_key: str, headers: Mapping[str, str], body: bytes) -> int:
    """What a gateway sends by itself; gives how many of its news were new. Raises NotFound for an unknown gateway,
    Forbidden where its signature is not right, Unavailable where its plugin breaks: then it is sent again."""
    acting, gateway = await find_gateway(scope, gateway_key)
    told = 0
    for news in await answer_of(gateway, lambda: gateway.read(acting, headers, body)):
        told += await take_news(acting, gateway_key, news)
    return told


async def take_news(scope: Scope, gateway: str, news: GatewayNews) -> bool:
    """Whether this was new. The same a second time changes nothing; what comes too late does not either."""
    async with unit_of_work(scope):
        event = await value(
            "INSERT INTO gateway_event (gateway, event_id, kind, state, received_at)"
            " VALUES (:gateway, :event_id, :kind, :state, :now) ON CONFLICT (gateway, event_id) DO NOTHING"
            " RETURNING id",
            gateway=gateway,
            event_id=news.event_id,
            kind=news.kind,
            state=news.state,
            now=scope.now(),
        )
        if event is None:
            return False
        if news.kind == "payout":
            await book_payout(scope, gateway, news)
            return True
        if news.kind == "refund":
            await settle_refund(scope, gateway, news)
            return True
        online = await _find(gateway, news)
        await execute("UPDATE gateway_event SET payment_id = :id WHERE id = :event", id=online.payment_id, event=event)
        await settle(_for(scope, online), online, news)
        return True


def _for(scope: Scope, online: Online) -> Scope:
    """The gateway acts for whoever began the payment."""
    return scope.as_actor(plugin_actor(scope.actor.name, on_behalf_of=online.begun_by))


async def _find(gateway: str, news: GatewayNews) -> Online:
    """Whose news it is, its payment locked. NotFound makes the gateway tell it again later: our commit may be on its
    way."""
    found = await row(
        Online,
        f"{ONLINE} WHERE o.gateway = :gateway AND (o.key = :key OR (o.reference = :reference AND :reference <> ''))"
        " ORDER BY payment.id LIMIT 1 FOR UPDATE OF payment",
        gateway=gateway,
        key=news.key,
        reference=news.reference,
    )
    if found is None:
        raise NotFound(f"payment of {gateway}")
    return found


async def settle(scope: Scope, online: Online, news: GatewayNews) -> None:
    """What is said of a payment that is locked happens to it."""
    if news.state == "pending":
        return
    if news.state == "failed":
        await fail(scope, online, news.reason)
        return
    if online.state != PaymentState.FAILED and online.state not in WAITING:
        await _compare(scope, online, news)
        return
    if news.currency != online.currency or news.fee_minor >= news.amount_minor:
        said = _("The gateway tells of another currency, or of a fee above the amount.")
        if await _unclear(scope, online, said, failed=True) and online.state == PaymentState.FAILED:
            await _ask_once_more(scope, online)
        return
    if online.state == PaymentState.FAILED:
        # The payer tried again on the gateway's page, or the news came in another order: money counts.
        await execute(
            "UPDATE payment SET state = 'unknown', version = version + 1 WHERE id = :id AND state = 'failed'",
            id=online.payment_id,
        )
    await _receive(scope, online, news)


async def _compare(scope: Scope, online: Online, news: GatewayNews) -> None:
    """One that a person settled is not booked again; that the gateway tells of another amount or fee stands there."""
    said = _(
        "The gateway tells of %(amount)s %(currency)s, of which it keeps %(fee)s.",
        amount=format_amount(news.amount_minor, news.currency),
        currency=news.currency,
        fee=format_amount(news.fee_minor, news.currency),
    )
    await execute(
        "UPDATE payment SET note = note || :line || :said, version = version + 1 WHERE id = :id"
        " AND (bank_amount_minor <> :amount OR fee_minor <> :fee OR currency <> :currency)"
        " AND EXISTS (SELECT 1 FROM gateway_event e WHERE e.gateway = :gateway AND e.event_id = :by_hand)",
        id=online.payment_id,
        line="\n",
        said=said,
        amount=news.amount_minor,
        fee=news.fee_minor,
        currency=news.currency,
        gateway=online.gateway,
        by_hand=f"{BY_HAND}{online.payment_id}",
    )


async def _receive(scope: Scope, online: Online, news: GatewayNews) -> None:
    """Row 8 of the table of postings: what the gateway holds, less its fee, is the customer's credit in whole."""
    await lock_balance(online.payer_id, online.currency)
    received_on = scope.today()
    moved = await execute(
        "UPDATE payment SET state = 'received', amount_minor = :amount, bank_amount_minor = :amount, fee_minor = :fee,"
        " received_on = :today, version = version + 1 WHERE id = :id AND state IN ('pending', 'unknown')",
        id=online.payment_id,
        amount=news.amount_minor,
        fee=news.fee_minor,
        today=received_on,
    )
    if not moved:
        return
    await execute(
        "UPDATE online_payment SET reason = '', given_up_at = NULL WHERE payment_id = :id", id=online.payment_id
    )
    base = await in_base(scope, news.amount_minor, online.currency, received_on)
    fee_base = await in_base(scope, news.fee_minor, online.currency, received_on) if news.fee_minor else 0
    await post(
        [
            debit(Code.IN_TRANSIT, news.amount_minor - news.fee_minor, online.currency, base - fee_base),
            debit(Code.PAYMENT_FEES, news.fee_minor, online.currency, fee_base),
            credit(Code.CUSTOMER_CREDIT, news.amount_minor, online.currency, base, customer_id=online.payer_id),
        ],
        kind="payment",
        source_kind="payment",
        source_id=online.payment_id,
        booked_on=received_on,
    )
    await open_credit(
        scope,
        online.payer_id,
        currency=online.currency,
        source_kind="payment",
        source_id=online.payment_id,
        amount_minor=news.amount_minor,
        base_minor=base,
    )
    record(
        scope,
        PaymentReceived(
            payment_id=online.payment_id,
            customer_id=online.payer_id,
            amount_minor=news.amount_minor,
            currency=online.currency,
        ),
    )
    named = msgspec.json.decode(online.documents, type=list[int])
    await allocate_credit(scope, online.payer_id, online.currency, named=named)


async def fail(scope: Scope, online: Online, reason: str, *, given_up: bool = False) -> None:
    """No money moved; one that was received stays so. `given_up`: the gateway did not say so, and is asked some more
    times."""
    moved = await execute(
        "UPDATE payment SET state = 'failed', version = version + 1 WHERE id = :id AND state IN ('pending', 'unknown')",
        id=online.payment_id,
    )
    if not moved:
        if not given_up:
            await execute("UPDATE online_payment SET given_up_at = NULL WHERE payment_id = :id", id=online.payment_id)
        return
    given_up_at = scope.now() if given_up else None
    await execute(
        "UPDATE online_payment SET reason = :reason, given_up_at = :at, asked_after = 0 WHERE payment_id = :id",
        id=online.payment_id,
        reason=reason,
        at=given_up_at,
    )
    if given_up_at is not None:
        await _ask_after(scope, online, given_up_at, 0)
    record(
        scope,
        OnlinePaymentFailed(
            payment_id=online.payment_id,
            customer_id=online.payer_id,
            amount_minor=online.amount_minor,
            currency=online.currency,
        ),
        changes={"reason": (None, reason)} if reason else None,
    )


async def _unclear(scope: Scope, online: Online, reason: str, *, failed: bool = False) -> bool:
    """Nobody knows whether it came; one that was settled meanwhile stays so, one that had failed unless `failed`. Gives
    whether that is new."""
    moved = await execute(
        "UPDATE payment SET state = 'unknown', version = version + 1 WHERE id = :id AND state IN :before",
        id=online.payment_id,
        before=["pending", "failed"] if failed else ["pending"],
    )
    await execute(
        "UPDATE online_payment SET reason = :reason WHERE payment_id = :id"
        " AND EXISTS (SELECT 1 FROM payment WHERE id = :id AND state IN ('pending', 'unknown'))",
        id=online.payment_id,
        reason=reason,
    )
    if moved:
        record(scope, OnlinePaymentUnclear(payment_id=online.payment_id, customer_id=online.payer_id))
    return bool(moved)


# ------------------------------------------------------------------ asking


async def ask_about(scope: Scope, payment_id: int, *, again: bool = True, after: int | None = None) -> PaymentState:
    """Ask the gateway what became of a payment that is still on its way, and take its word; gives the state after it.

    `again`: where it is still open, the gateway is asked once more, later. One that the gateway knows nothing of never
    reached it; one that it still waits for after some days is given up, and asked about less and less often, until
    nobody but a person can find out. `after`: which of those times it is; what was to be asked before is not asked.
    """
    online = await get_online(scope, payment_id)
    once_more = online.is_asked_after and (not again or after == online.asked_after)
    if not (online.state in WAITING or once_more) or scope.tenant.test_clock:
        return online.state
    try:
        acting, gateway = await find_gateway(scope, online.gateway)
        news = await answer_of(gateway, lambda: gateway.look(acting, online.key))
    except (NotFound, Unavailable) as error:
        acting = scope
        async with unit_of_work(scope):
            await _unclear(scope, online, error.message if isinstance(error, Unavailable) else "")
    else:
        if news is not None:
            await take_news(acting, online.gateway, news)
        elif again:
            async with unit_of_work(acting):
                await fail(_for(acting, online), online, _("It never reached the gateway."))
        if news is not None and news.state == "failed" and once_more:
            async with unit_of_work(acting):  # also where it said so before
                await fail(_for(acting, online), online, news.reason)
        if news is not None and news.state == "pending" and online.created_at < scope.now() - GIVEN_UP_AFTER:
            async with unit_of_work(acting):
                await fail(_for(acting, online), online, _("The payer never came back."), given_up=True)
    now = await get_online(scope, payment_id)
    if again and now.state in WAITING:
        async with unit_of_work(acting):
            await _ask_once_more(acting, online)
    elif again and once_more and now.is_asked_after:
        async with unit_of_work(acting):
            await _asked_after(acting, now)
    return now.state


async def _ask_once_more(scope: Scope, online: Online) -> None:
    await execute("UPDATE online_payment SET asked = asked + 1 WHERE payment_id = :id", id=online.payment_id)
    await _ask_later(scope, online.payment_id, online.payer_id, online.asked + 1)


async def _asked_after(scope: Scope, online: Online) -> None:
    """Asked once more since it was given up, and told nothing for certain."""
    asked = online.asked_after + 1
    await execute(
        "UPDATE online_payment SET asked_after = :asked WHERE payment_id = :id", id=online.payment_id, asked=asked
    )
    if asked < len(ASKS_ONCE_GIVEN_UP) and online.given_up_at is not None:
        await _ask_after(scope, online, online.given_up_at, asked)


async def _ask_after(scope: Scope, online: Online, given_up_at: datetime, asked: int) -> None:
    await enqueue(
        scope,
        ASK,
        AskGateway(online.payment_id, asked),
        due_at=scope.now() + ASKS_ONCE_GIVEN_UP[asked],
        dedupe_key=f"ask-gateway-after:{online.payment_id}:{int(given_up_at.timestamp())}:{asked}",
        customer_id=online.payer_id,
    )


async def _ask_later(scope: Scope, payment_id: int, payer_id: int, asked: int) -> None:
    wait = ASKS_AFTER[asked] if asked < len(ASKS_AFTER) else timedelta(days=1)
    await enqueue(
        scope,
        ASK,
        AskGateway(payment_id),
        due_at=scope.now() + wait,
        dedupe_key=f"ask-gateway:{payment_id}:{asked}",
        customer_id=payer_id,
    )


# ------------------------------------------------------------------ paying back


async def send_back(scope: Scope, refund_id: int) -> str:
    """Have the gateway pay a refund back, under a key of ours: told twice, it pays once. Gives the refund's state."""
    found = await row(Refund, f"{REFUND} WHERE refund.id = :id", id=refund_id)
    if found is None or found.state not in ("pending", "unknown"):
        return found.state if found is not None else "done"
    scope.refuse_on_test_clock()
    acting, gateway = await find_gateway(scope, found.provider)
    if gateway.pay_back is None:
        raise Conflict(_("%(gateway)s pays nothing back by itself.", gateway=_(gateway.label)))
    order = PayBack(
        key=found.provider_key,
        reference=found.reference,
        amount_minor=found.amount_minor,
        currency=found.currency,
    )
    try:
        news = await answer_of(gateway, partial(gateway.pay_back, acting, order))
    except Unavailable:
        async with unit_of_work(acting):
            await execute("UPDATE refund SET state = 'unknown' WHERE id = :id AND state = 'pending'", id=refund_id)
        raise
    await take_news(acting, found.provider, news)
    return str(await value("SELECT state FROM refund WHERE id = :id", id=refund_id))
