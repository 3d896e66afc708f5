"""Coming into the portal and leaving it; passwords; one's own data; the staff in a customer's place."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from core.activity.unit import record, unit_of_work
from core.customers import actions as customers
from core.customers.queries import get_contact, get_customer
from core.customers.schemas import AddressData, MainData, UserFields
from core.database import Everything, OneCustomer, execute, value
from core.errors import Conflict, Forbidden, Invalid, NotFound
from core.ids import hash_token, new_token
from core.jobs.actions import enqueue
from core.scope import Actor
from core.staff.passwords import PASSWORDS, check_password
from core.texts import _
from core.web import sessions
from plugins.portal import queries
from plugins.portal.events import (
    PortalLoggedIn,
    PortalPasswordSet,
    PortalUserLoggedIn,
    PortalVisitBegun,
    PortalVisitEnded,
)
from plugins.portal.schemas import Entrance, ForgottenBy, NewPassword, OwnAddress, OwnName, OwnPassword

if TYPE_CHECKING:
    from core.scope import Scope
    from plugins.portal.schemas import Visit

CUSTOMER: Final = "customer"
"""Kinds of sessions: a customer's own, a user's, and the staff's in a customer's place."""
USER: Final = "portal.user"
VISIT: Final = "portal.visit"

LINK_LASTS: Final = timedelta(minutes=60)
VISIT_LASTS: Final = timedelta(minutes=15)
MAIL_LINK: Final = "portal_mail_link"
"""Name of the job kind, declared in `jobs`."""

PAY: Final = "portal.pay"
"""What somebody in the portal may do: pay, change data, change what it logs in with, pause services."""
CHANGE: Final = "portal.change"
SECRETS: Final = "portal.secrets"
PAUSE: Final = "portal.pause"
OF_CUSTOMERS: Final = frozenset({PAY, CHANGE, SECRETS, PAUSE})

LOG_IN_AS: Final = "portal.log_in_as"
"""The staff's permissions: to see the portal as a customer does, and to pay there for it."""
PAY_AS: Final = "portal.pay_as"


def actor_of(entrance: Entrance) -> Actor:
    """The customer, under the name of who logged in."""
    return Actor("customer", entrance.customer_id, entrance.name, OneCustomer(entrance.customer_id), OF_CUSTOMERS)


def has(actor: Actor, permission: str) -> bool:
    return permission in actor.permissions or "*" in actor.permissions


def visitor(staff: Actor, customer_id: int) -> Actor:
    """A staff user in a customer's place: it acts under its own name, sees what the customer sees, and may do what its
    own permissions allow. Secrets stay the customer's."""
    granted = {PAY: has(staff, PAY_AS), CHANGE: has(staff, "customers.edit"), PAUSE: has(staff, "subscriptions.change")}
    return replace(
        staff,
        reach=OneCustomer(customer_id),
        permissions=frozenset(key for key, given in granted.items() if given),
        on_behalf_of=f"customer:{customer_id}",
    )


async def check_log_in(login: str, password: str) -> Entrance | None:
    """Whoever logs in by this name and has this password. For a name that nobody has, the same work is done."""
    known = [each for each in await queries.find_entrances(login) if each.password_hash]
    if not known:
        await PASSWORDS.verify("", password)
    for each in known:
        if await PASSWORDS.verify(each.password_hash, password):
            return each
    return None


async def begin_session(scope: Scope, entrance: Entrance, *, address: str, agent: str) -> str:
    """Let somebody in; gives the session's token. The log-in stands in the activity."""
    acting = scope.as_actor(actor_of(entrance))
    async with unit_of_work(acting):
        if entrance.contact_id is None:
            record(acting, PortalLoggedIn(customer_id=entrance.customer_id))
            return await sessions.begin_session(acting, CUSTOMER, entrance.customer_id, address=address, agent=agent)
        record(acting, PortalUserLoggedIn(contact_id=entrance.contact_id, customer_id=entrance.customer_id))
        return await sessions.begin_session(acting, USER, entrance.contact_id, address=address, agent=agent)


async def ask_for_link(scope: Scope, login: str) -> None:
    """Somebody has no password yet, or has forgotten it. The same work is done whether anybody has the name."""
    asking = scope.as_actor(replace(scope.actor, reach=Everything()))
    await enqueue(asking, MAIL_LINK, ForgottenBy(login=login.strip()))


async def make_link(scope: Scope, entrance: Entrance) -> str:
    """A link to a new password, which works once; gives its token. One that was mailed before goes on working, so that
    nobody can void it by asking."""
    token = new_token()
    async with unit_of_work(scope):
        await execute("DELETE FROM portal_link WHERE expires_at < :now", now=scope.now())
        await execute(
            "INSERT INTO portal_link (customer_id, contact_id, token_hash, created_at, expires_at)"
            " VALUES (:customer_id, :contact_id, :token_hash, :now, :until)",
            customer_id=entrance.customer_id,
            contact_id=entrance.contact_id,
            token_hash=hash_token(token),
            now=scope.now(),
            until=scope.now() + LINK_LASTS,
        )
    return token


async def follow_link(scope: Scope, token: str, data: NewPassword) -> Entrance:
    """Set the password of whoever reads the mail; the links and sessions of it end. Raises NotFound for a link that was
    used or is too old."""
    entrance = await queries.find_by_link(token, scope.now())
    if entrance is None:
        raise NotFound("link to a password of the portal")
    check_new(data, entrance)
    acting = scope.as_actor(actor_of(entrance))
    hashed = await PASSWORDS.hash(data.password) if entrance.contact_id is not None else ""
    async with unit_of_work(acting):
        if not await execute("DELETE FROM portal_link WHERE token_hash = :hash", hash=hash_token(token)):
            raise NotFound("link to a password of the portal")
        await _set(acting, entrance, data.password, hashed)
    return entrance


async def change_password(scope: Scope, entrance: Entrance, data: OwnPassword) -> None:
    """Another password, given the one that holds. All sessions end, this one too."""
    require_own(scope)
    if not await PASSWORDS.verify(entrance.password_hash, data.current):
        raise Invalid(_("This is not your password."), field="current")
    check_new(data, entrance)
    hashed = await PASSWORDS.hash(data.password) if entrance.contact_id is not None else ""
    async with unit_of_work(scope):
        await _set(scope, entrance, data.password, hashed)


def check_new(data: NewPassword, entrance: Entrance) -> None:
    """Raises Invalid for a password that is too weak, or was not typed twice alike."""
    check_password(data.password, name=entrance.name, email=entrance.email)
    if data.password != data.repeated:
        raise Invalid(_("The two passwords differ. Type the same one twice."), field="repeated")


async def _set(scope: Scope, entrance: Entrance, password: str, hashed: str) -> None:
    await execute(
        "DELETE FROM portal_link WHERE customer_id = :customer_id AND coalesce(contact_id, 0) = :contact_id",
        customer_id=entrance.customer_id,
        contact_id=entrance.contact_id or 0,
    )
    if entrance.contact_id is None:
        await customers.set_password(scope, entrance.customer_id, password)
        return
    await execute(
        "INSERT INTO portal_user (contact_id, customer_id, password_hash, password_set_at)"
        " VALUES (:contact_id, :customer_id, :hash, :now) ON CONFLICT (contact_id)"
        " DO UPDATE SET password_hash = excluded.password_hash, password_set_at = excluded.password_set_at",
        contact_id=entrance.contact_id,
        customer_id=entrance.customer_id,
        hash=hashed,
        now=scope.now(),
    )
    await sessions.end_sessions(scope, USER, entrance.contact_id)
    record(scope, PortalPasswordSet(contact_id=entrance.contact_id, customer_id=entrance.customer_id))


def require_own(scope: Scope) -> None:
    """What somebody logs in with is changed by nobody in its place."""
    if SECRETS not in scope.actor.permissions:
        raise Forbidden(_("Passwords and e-mail addresses are changed by the customer alone."))


def require_change(scope: Scope) -> None:
    if CHANGE not in scope.actor.permissions:
        raise Forbidden(_("Your role may not change the data of customers."))


async def change_address(scope: Scope, data: OwnAddress) -> None:
    """Save phones and address, by the same rules as for the staff. Raises Stale where somebody saved them first."""
    require_change(scope)
    customer_id = queries.customer_of(scope)
    async with unit_of_work(scope):
        now = await get_customer(scope, customer_id)
        main = {name: getattr(now, name) for name in MainData.__struct_fields__}
        main["phones"] = [one.strip() for one in data.phones.split(",") if one.strip()]
        address = {name: getattr(now, name) for name in AddressData.__struct_fields__}
        for name in ("street", "zip", "city"):
            address[name] = getattr(data, name)
        if (address["street"], address["zip"], address["city"]) != (now.street, now.zip, now.city):
            address["lat"] = address["lon"] = None
        await customers.change_sections(
            scope,
            customer_id,
            [msgspec.convert(main, MainData), msgspec.convert(address, AddressData)],
            version=data.version,
        )


async def change_user(scope: Scope, contact_id: int, data: OwnName) -> bool:
    """Save a user's own name; another e-mail waits to be confirmed there. Gives whether it does."""
    require_change(scope)
    customer_id = queries.customer_of(scope)
    async with unit_of_work(scope):
        now = await get_contact(scope, customer_id, contact_id)
        moved = data.email.strip().casefold() != now.email.casefold()
        if moved:
            require_own(scope)
        fields = UserFields(
            salutation=now.salutation, first_name=data.first_name, surname=data.surname, email=data.email
        )
        await customers.change_user(scope, customer_id, contact_id, fields, version=data.version)
    return moved


async def begin_visit(scope: Scope, customer_id: int, *, session_id: int, address: str, agent: str) -> str:
    """Let a staff user into the portal in a customer's place, for some minutes, at most until its own log-in ends;
    gives the session's token. It stands on the customer's timeline."""
    scope.require(LOG_IN_AS)
    if scope.actor.kind != "staff" or scope.actor.on_behalf_of is not None:
        raise Forbidden(_("Only staff can log in as a customer."))
    customer = await get_customer(scope, customer_id)
    entrance = await queries.find_customer(customer_id)
    if entrance is None:
        raise Conflict(_("This customer is anonymised: it has no portal any more."))
    if not entrance.may_log_in:
        raise Conflict(_("While it is %(status)s, it may not log in.", status=_(customer.status_label)))
    async with unit_of_work(scope):
        until = scope.now() + VISIT_LASTS
        visit_id = int(
            await value(
                "INSERT INTO portal_visit (customer_id, staff_id, begun_at, ends_at, session_id)"
                " VALUES (:customer_id, :staff_id, :now, :until, :session_id) RETURNING id",
                customer_id=customer_id,
                staff_id=scope.actor.id,
                now=scope.now(),
                until=until,
                session_id=session_id,
            )
        )
        record(scope, PortalVisitBegun(portal_visit_id=visit_id, customer_id=customer_id))
        return await sessions.begin_session(scope, VISIT, visit_id, address=address, agent=agent, lasts=VISIT_LASTS)


async def end_visit(scope: Scope, visit: Visit) -> None:
    """Leave the customer's place."""
    async with unit_of_work(scope):
        ended = await execute(
            "UPDATE portal_visit SET ended_at = :now WHERE id = :id AND ended_at IS NULL", now=scope.now(), id=visit.id
        )
        await sessions.end_sessions(scope, VISIT, visit.id)
        if ended:
            record(scope, PortalVisitEnded(portal_visit_id=visit.id, customer_id=visit.customer_id))


async def erase(customer_ids: list[int], scope: Scope) -> None:
    """What customers who are forgotten logged in with."""
    async with unit_of_work(scope):
        await execute(
            "DELETE FROM session WHERE (actor_kind = :customer AND actor_id IN :ids) OR (actor_kind = :user"
            " AND actor_id IN (SELECT contact_id FROM portal_user WHERE customer_id IN :ids))",
            customer=CUSTOMER,
            user=USER,
            ids=customer_ids,
        )
        await execute("DELETE FROM portal_user WHERE customer_id IN :ids", ids=customer_ids)
        await execute("DELETE FROM portal_link WHERE customer_id IN :ids", ids=customer_ids)
