"""The gateway's own side: it takes orders, shows a page, keeps a book, and tells of it in signed notifications."""

from __future__ import annotations

import hashlib
import hmac
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from core.activity.unit import unit_of_work
from core.database import execute, row, rows, value
from core.errors import Conflict, Forbidden, NotFound
from core.hooks import GatewayNews, PayPage
from core.ids import new_token
from core.jobs.actions import enqueue
from core.money import half_up
from core.payments.online import take_notification
from core.settings.actions import save_settings
from core.settings.queries import load_settings
from core.texts import _
from plugins.testgateway.settings import TestgatewaySettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.hooks import MoneyState, PayBack, PayOrder
    from core.scope import Scope

KEY: Final = "testgateway"
SIGNATURE: Final = "x-testgateway-signature"
SIGNED_FOR: Final = timedelta(minutes=10)
"""How old a signature may be."""
NOTIFY: Final = "testgateway_notify"
"""Name of the job kind, declared in `plugin`."""

Decision = Literal["pay", "decline", "close"]


class Till(Struct, frozen=True):
    """A payment in the gateway's book."""

    id: int
    token: str
    order_key: str
    amount_minor: int
    currency: str
    text: str
    back: str
    state: str
    fee_minor: int
    paid_out: bool
    created_at: datetime


class Notice(Struct, frozen=True):
    """A notification that is to go out."""

    body: str


_TILL: Final = (
    "SELECT id, token, order_key, amount_minor, currency, text, back, state, fee_minor, paid_out, created_at"
    " FROM testgateway_payment"
)
_STATES: Final[dict[str, MoneyState]] = {"open": "pending", "paid": "received", "declined": "failed"}


async def begin(scope: Scope, order: PayOrder) -> PayPage:
    """Take an order; the same key again is the same one."""
    async with unit_of_work(scope):
        await execute(
            "INSERT INTO testgateway_payment (token, order_key, amount_minor, currency, text, back, state, created_at)"
            " VALUES (:token, :key, :amount, :currency, :text, :back, 'open', :now)"
            " ON CONFLICT (order_key) DO NOTHING",
            token=new_token(),
            key=order.key,
            amount=order.amount_minor,
            currency=order.currency,
            text=order.text,
            back=order.back,
            now=scope.now(),
        )
    token = str(await value("SELECT token FROM testgateway_payment WHERE order_key = :key", key=order.key))
    return PayPage(href=f"/testgateway/pay/link/{token}", reference=token)


async def look(scope: Scope, key: str) -> GatewayNews | None:
    """How an order stands."""
    found = await row(Till, f"{_TILL} WHERE order_key = :key", key=key)
    return news_of(found) if found is not None else None


def news_of(till: Till) -> GatewayNews:
    return GatewayNews(
        event_id=f"{till.token}:{till.state}",
        state=_STATES[till.state],
        amount_minor=till.amount_minor,
        currency=till.currency,
        key=till.order_key,
        reference=till.token,
        fee_minor=till.fee_minor,
        reason=_("Declined at the test gateway.") if till.state == "declined" else "",
    )


async def get_till(token: str) -> Till:
    """What a payer sees by its link. Raises NotFound."""
    found = await row(Till, f"{_TILL} WHERE token = :token", token=token)
    if found is None:
        raise NotFound("payment at the test gateway")
    return found


async def decide(scope: Scope, token: str, decision: Decision) -> Till:
    """What the payer pressed; a notification follows. Whoever declined may still pay, whoever paid has paid."""
    async with unit_of_work(scope):
        till = await get_till(token)
        if decision == "close" or till.state == "paid":
            return till
        fee = half_up(till.amount_minor * (await _settings(scope)).fee_per_mille, 1000) if decision == "pay" else 0
        moved = await execute(
            "UPDATE testgateway_payment SET state = :state, fee_minor = :fee"
            " WHERE token = :token AND state <> 'paid' AND state <> :state",
            state="paid" if decision == "pay" else "declined",
            fee=fee,
            token=token,
        )
        till = await get_till(token)
        if moved:
            await enqueue(scope, NOTIFY, Notice(msgspec.json.encode(news_of(till)).decode()))
        return till


async def pay_back(scope: Scope, order: PayBack) -> GatewayNews:
    """Give money back; the same key again is the same refund."""
    async with unit_of_work(scope):
        till = await row(Till, f"{_TILL} WHERE token = :token AND state = 'paid'", token=order.reference)
        left = 0
        if till is not None:
            returned = await value(
                "SELECT coalesce(CAST(sum(amount_minor) AS bigint), 0) FROM testgateway_refund"
                " WHERE payment_id = :id AND order_key <> :key",
                id=till.id,
                key=order.key,
            )
            left = till.amount_minor - int(returned)
        good = till is not None and order.amount_minor <= left
        if till is not None and good:
            await execute(
                "INSERT INTO testgateway_refund (order_key, payment_id, amount_minor) VALUES (:key, :id, :amount)"
                " ON CONFLICT (order_key) DO NOTHING",
                key=order.key,
                id=till.id,
                amount=order.amount_minor,
            )
        return GatewayNews(
            event_id=f"refund:{order.key}",
            kind="refund",
            state="received" if good else "failed",
            amount_minor=order.amount_minor,
            currency=order.currency,
            key=order.key,
            reason="" if good else _("More than was paid."),
        )


class _Taken(Struct, frozen=True):
    id: int
    currency: str
    minor: int


async def pay_out(scope: Scope) -> int:
    """Pay out what has come in and was not paid out yet, less fees and refunds; gives how many notifications follow.

    A refund is taken off the next payout, also of a payment that was paid out before; where refunds are more than what
    came in, both wait for more.
    """
    async with unit_of_work(scope):
        # Marked first, added up then: what is paid or given back meanwhile is in the next one.
        taken = await rows(
            _Taken,
            "UPDATE testgateway_payment SET paid_out = TRUE WHERE state = 'paid' AND NOT paid_out"
            " RETURNING id, currency, amount_minor - fee_minor AS minor",
        )
        returned = await rows(
            _Taken,
            "UPDATE testgateway_refund SET paid_out = TRUE WHERE NOT paid_out RETURNING id,"
            " (SELECT currency FROM testgateway_payment p WHERE p.id = testgateway_refund.payment_id) AS currency,"
            " -amount_minor AS minor",
        )
        sums = Counter[str]()
        for each in (*taken, *returned):
            sums[each.currency] += each.minor
        due = {currency: minor for currency, minor in sorted(sums.items()) if minor > 0}
        if not due:
            raise Conflict(_("There is nothing to pay out."))
        for table, marked in (("testgateway_payment", taken), ("testgateway_refund", returned)):
            await execute(
                f"UPDATE {table} SET paid_out = FALSE WHERE id IN :ids",
                ids=[each.id for each in marked if each.currency not in due],
            )
        for currency, minor in due.items():
            news = GatewayNews(
                event_id=f"payout:{new_token()}",
                kind="payout",
                state="received",
                amount_minor=minor,
                currency=currency,
                on=scope.today(),
            )
            await enqueue(scope, NOTIFY, Notice(msgspec.json.encode(news).decode()))
        return len(due)


async def list_tills() -> Sequence[Till]:
    """The latest orders."""
    return await rows(Till, f"{_TILL} ORDER BY id DESC LIMIT 100")


# ------------------------------------------------------------------ notifications


async def notify(scope: Scope, body: bytes) -> None:
    """Tell the operator, as a gateway does: signed, and through the door that anybody may knock at."""
    await take_notification(scope, KEY, await signed(scope, body), body)


async def signed(scope: Scope, body: bytes) -> dict[str, str]:
    """The headers of a notification."""
    at = int(scope.now().timestamp())
    return {SIGNATURE: f"t={at},v1={_signature(await _secret(scope), at, body)}"}


async def read(scope: Scope, headers: Mapping[str, str], body: bytes) -> Sequence[GatewayNews]:
    """What a notification says. Raises Forbidden unless it was signed with the secret, a short while ago."""
    given = dict(part.partition("=")[::2] for part in headers.get(SIGNATURE, "").split(","))
    at = given.get("t", "")
    if not at.isdecimal() or len(at) > 12:
        raise Forbidden(_("This notification is not signed."))
    wanted = _signature(await _secret(scope), int(at), body)
    if not hmac.compare_digest(wanted.encode(), given.get("v1", "").encode()):
        raise Forbidden(_("The signature of this notification is not right."))
    if abs(scope.now() - datetime.fromtimestamp(int(at), UTC)) > SIGNED_FOR:
        raise Forbidden(_("The signature of this notification is too old."))
    return [msgspec.json.decode(body, type=GatewayNews)]


def _signature(secret: str, at: int, body: bytes) -> str:
    return hmac.new(secret.encode(), b"%d." % at + body, hashlib.sha256).hexdigest()


async def _settings(scope: Scope) -> TestgatewaySettings:
    return await load_settings(TestgatewaySettings, scope.keys)


async def _secret(scope: Scope) -> str:
    """What notifications are signed with; made when it is first needed."""
    settings = await _settings(scope)
    if not settings.secret:
        settings = replace(settings, secret=new_token())
        await save_settings(scope, settings)
    return settings.secret
