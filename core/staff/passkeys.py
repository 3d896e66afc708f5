"""Passkeys: keys that a device keeps and opens by finger, face or number. They stand for password and second factor."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from core.activity.unit import record, unit_of_work
from core.database import all_of, execute, row, rows, scoped, value, values, within
from core.errors import Conflict, Invalid
from core.ids import hash_token
from core.staff import queries
from core.staff.account import get_own
from core.staff.actions import end_everywhere, notify
from core.staff.events import PasskeyAdded, PasskeyRemoved, PasskeyRenamed
from core.staff.schemas import PasskeyRow
from core.staff.second_factors import forget_codes_of_nobody, is_required, make_recovery_codes
from core.staff.tables import Passkey, PasskeyChallenge
from core.texts import N_, _

if TYPE_CHECKING:
    from core.scope import Scope
    from core.staff.queries import Known

CHALLENGE_LASTS: Final = timedelta(minutes=5)
MOST: Final = 20
"""Passkeys of one person."""


async def list_passkeys(scope: Scope, staff_id: int) -> list[PasskeyRow]:
    return await rows(
        PasskeyRow,
        "SELECT id, name, created_at, last_used_at FROM passkey WHERE staff_id = :id AND :within ORDER BY id",
        id=staff_id,
        within=within(Passkey, scope.actor.reach),
    )


def _party(scope: Scope) -> str:
    """The host that a passkey belongs to."""
    return urlsplit(scope.tenant.address).hostname or ""


def _origin(scope: Scope) -> str:
    """Where a browser says that it is, however the address is written."""
    parts = urlsplit(scope.tenant.address)
    return f"{parts.scheme}://{parts.netloc}".lower()


async def offer_passkey(scope: Scope) -> str:
    """What a browser needs to make one, as JSON."""
    from core.staff import ceremonies  # loaded when it is needed: see there

    known = await get_own(scope)
    question = ceremonies.ask_for_new(
        party=_party(scope),
        tenant=scope.tenant.name,
        user=f"{scope.tenant.uuid.hex}:{known.id}".encode(),
        email=known.email,
        name=known.name,
        has=await _credentials(known.id),
    )
    await _keep(scope, question.challenge, "add", known.id)
    return question.text


async def add_passkey(scope: Scope, name: str, credential: str) -> list[str]:
    """Keep the passkey that a browser has just made. Gives recovery codes where there were none; sessions elsewhere
    end."""
    from core.staff import ceremonies

    known = await get_own(scope)
    name = name.strip()
    if not name:
        raise Invalid(_("Fill this in."), field="name")
    made = _decoded(credential)
    async with unit_of_work(scope):
        challenge = await _used_up(scope, made, "add", known.id)
        if challenge is None:
            raise Invalid(_("This took too long. Try again."))
        new = ceremonies.prove_new(made, challenge=challenge, party=_party(scope), origin=_origin(scope))
        if new is None:
            raise Invalid(_("The browser’s answer does not hold. Try again."))
        if known.passkeys >= MOST:
            raise Conflict(_("These are too many passkeys. Remove one that you do not use."))
        if await value("SELECT id FROM passkey WHERE credential_id = :id", id=new.credential_id):
            raise Invalid(_("This passkey is known already."))
        await Passkey(
            staff_id=known.id,
            name=name,
            credential_id=new.credential_id,
            public_key=new.public_key,
            sign_count=new.sign_count,
            created_at=scope.now(),
            last_used_at=None,
        ).save()
        record(scope, PasskeyAdded(staff_id=known.id), changes={"name": (None, name)})
        await notify(scope, known.id, N_("A passkey was added to your account."))
        await end_everywhere(scope, known.id)
        first = not await value("SELECT count(*) FROM recovery_code WHERE staff_id = :id", id=known.id)
        return await make_recovery_codes(scope) if first else []


async def rename_passkey(scope: Scope, passkey_id: int, name: str) -> None:
    async with unit_of_work(scope):
        known, one = await get_own(scope), await _own(scope, passkey_id)
        name = name.strip()
        if not name:
            raise Invalid(_("Fill this in."), field="name")
        if one.name != name:
            await execute("UPDATE passkey SET name = :name WHERE id = :id", name=name, id=passkey_id)
            record(scope, PasskeyRenamed(staff_id=known.id), changes={"name": (one.name, name)})


async def remove_passkey(scope: Scope, passkey_id: int) -> None:
    """It no longer opens anything. Every session ends. Raises Conflict where it is the last second factor of somebody
    who needs one."""
    async with unit_of_work(scope):
        known, one = await get_own(scope), await _own(scope, passkey_id)
        if known.passkeys == 1 and not known.totp_sealed and await is_required(scope, known):
            raise Conflict(_("You need a second factor to log in. Set up an app or another passkey first."))
        await execute("DELETE FROM passkey WHERE id = :id", id=passkey_id)
        await forget_codes_of_nobody(known)
        record(scope, PasskeyRemoved(staff_id=known.id), changes={"name": (one.name, None)})
        await notify(scope, known.id, N_("A passkey was removed from your account."))
        await end_everywhere(scope, known.id)


async def _own(scope: Scope, passkey_id: int) -> Passkey:
    """Raises NotFound for somebody else's."""
    known = await get_own(scope)
    if not await value("SELECT id FROM passkey WHERE id = :id AND staff_id = :own", id=passkey_id, own=known.id):
        passkey_id = 0
    return await scoped(Passkey, scope).get(passkey_id)


async def offer_log_in(scope: Scope, staff_id: int | None = None) -> str:
    """What a browser needs to log in with a passkey, as JSON; with those of one person where it is known already."""
    from core.staff import ceremonies

    has = await _credentials(staff_id) if staff_id is not None else None
    question = ceremonies.ask_to_sign(party=_party(scope), has=has)
    await _keep(scope, question.challenge, "log-in", staff_id)
    return question.text


class _Kept(Struct, frozen=True):
    id: int
    staff_id: int
    public_key: str
    sign_count: int


async def check_passkey(scope: Scope, credential: str) -> Known | None:
    """The active staff user whose passkey has just signed; None where it is not known or does not hold."""
    from core.staff import ceremonies

    made = _decoded(credential)
    async with unit_of_work(scope):
        challenge = await _used_up(scope, made, "log-in")
    if challenge is None:
        return None
    kept = await row(
        _Kept,
        "SELECT id, staff_id, public_key, sign_count FROM passkey WHERE credential_id = :id",
        id=str(made.get("id", "")),
    )
    known = await queries.find_known(kept.staff_id) if kept is not None else None
    if kept is None or known is None:
        return None
    signed = ceremonies.prove_signed(
        made,
        challenge=challenge,
        party=_party(scope),
        origin=_origin(scope),
        public_key=kept.public_key,
        sign_count=kept.sign_count,
    )
    if signed is None:
        return None
    async with unit_of_work(scope):
        await execute(
            "UPDATE passkey SET sign_count = :count, last_used_at = :now WHERE id = :id",
            count=signed,
            now=scope.now(),
            id=kept.id,
        )
    return known


async def _credentials(staff_id: int) -> list[str]:
    return await values("SELECT credential_id FROM passkey WHERE staff_id = :id ORDER BY id", id=staff_id)


def _decoded(credential: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(credential, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeError) as error:
        raise Invalid(_("The browser’s answer does not hold. Try again.")) from error


async def _keep(scope: Scope, challenge: str, purpose: str, staff_id: int | None) -> None:
    async with unit_of_work(scope):
        await execute("DELETE FROM passkey_challenge WHERE expires_at < :now", now=scope.now())
        await PasskeyChallenge(
            challenge_hash=hash_token(challenge),
            purpose=purpose,
            staff_id=staff_id,
            expires_at=scope.now() + CHALLENGE_LASTS,
        ).save()


async def _used_up(scope: Scope, credential: dict[str, Any], purpose: str, staff_id: int | None = None) -> str | None:
    """The challenge that this answer was made for, which no other answer can use any more; None where it is unknown,
    too old, or was given for something else."""
    from core.staff import ceremonies

    challenge = ceremonies.challenge_of(credential)
    if challenge is None:
        return None
    gone = await execute(
        "DELETE FROM passkey_challenge WHERE challenge_hash = :hash AND purpose = :purpose AND expires_at > :now"
        f" AND {all_of(staff_id is not None and 'staff_id = :staff_id')}",
        hash=hash_token(challenge),
        purpose=purpose,
        now=scope.now(),
        staff_id=staff_id,
    )
    return challenge if gone else None
