"""The page where the payer decides, and the gateway's book for the staff."""

from __future__ import annotations

from typing import Final, Literal

from litestar import Response
from litestar.params import FromPath
from msgspec import Struct

from core.scope import plugin_actor
from core.texts import N_, _
from core.web.parts import Pill
from core.web.routing import PUBLIC, get, post
from core.web.view import View
from plugins.testgateway import till

PAGE: Final = "/testgateway/pay/link/{token:str}"
BOOK: Final = "/testgateway"
MANAGE: Final = "testgateway.manage"
PILLS: Final = {
    "open": (N_("Open"), "new"),
    "paid": (N_("Paid"), "live"),
    "declined": (N_("Declined"), "ended"),
}


class Decided(Struct, forbid_unknown_fields=True, frozen=True):
    decision: Literal["pay", "decline", "close"]


@get(PAGE, permission=PUBLIC)
async def show_page(view: View, token: FromPath[str]) -> Response[str]:
    return view.page("testgateway/pay.html", till=await till.get_till(token))


@post(PAGE, permission=PUBLIC)
async def decide(view: View, token: FromPath[str]) -> Response[str]:
    """The payer goes back to where it came from, whatever it pressed."""
    data = await view.form(Decided)
    acting = view.scope.as_actor(plugin_actor(till.KEY))
    return view.go((await till.decide(acting, token, data.decision)).back)


@get(BOOK, permission=MANAGE)
async def show_book(view: View) -> Response[str]:
    pills = {state: Pill(_(label), kind) for state, (label, kind) in PILLS.items()}
    return view.page("testgateway/book.html", tills=await till.list_tills(), pills=pills)


@post("/testgateway/payouts", permission=MANAGE)
async def pay_out(view: View) -> Response[str]:
    await till.pay_out(view.scope.as_actor(plugin_actor(till.KEY)))
    return view.go(BOOK, _("It is on its way to the bank."))


HANDLERS: Final = (show_page, decide, show_book, pay_out)
OPEN_TO_ALL: Final = (("GET", PAGE), ("POST", PAGE))
