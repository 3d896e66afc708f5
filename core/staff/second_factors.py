"""The second factor: codes of an authenticator app, each step once, and codes for the day when the device is gone."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

import msgspec
import pyotp
from msgspec import Struct

from core.activity.unit import record, unit_of_work
from core.clock import SystemClock
from core.config import SealedOtherwise
from core.database import execute, execute_many, rows, value
from core.errors import Conflict, Invalid
from core.ids import hash_token
from core.settings.queries import load_settings
from core.staff import queries
from core.staff.account import get_own
from core.staff.actions import end_everywhere, notify, touchable
from core.staff.events import (
    RecoveryCodesMade,
    RecoveryCodeUsed,
    SecondFactorRemoved,
    SecondFactorReset,
    SecondFactorSet,
)
from core.staff.passwords import PASSWORDS
from core.staff.settings import SecuritySettings
from core.texts import N_, _

if TYPE_CHECKING:
    from core.scope import Scope
    from core.staff.queries import Known

STEP: Final = 30
"""Seconds that a code of an app holds."""
DRIFT: Final = 1
"""Steps that the clock of a device may be off, each way."""
CODES: Final = 10
"""Recovery codes that are made at once."""
_LETTERS: Final = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without those that are taken for each other."""


class NewSecret(Struct, frozen=True):
    """A secret that is about to be shared with an app. `sealed` goes into the form and comes back with a code."""

    secret: str
    address: str
    sealed: str


class _Offered(Struct, frozen=True):
    staff_id: int
    secret: str
    until: int


async def is_required(scope: Scope, known: Known) -> bool:
    """Whether this staff user must have a second factor: its role says so, or the tenant for everybody."""
    return known.needs_second_factor or (await load_settings(SecuritySettings, scope.keys)).everybody


async def offer_secret(scope: Scope) -> NewSecret:
    """A new secret for the app of whoever acts. Nothing is kept until a code proves that the app has it."""
    known = await get_own(scope)
    secret = pyotp.random_base32()
    offered = _Offered(known.id, secret, int(scope.now().timestamp()) + 3600)
    return NewSecret(
        secret=secret,
        address=pyotp.TOTP(secret).provisioning_uri(name=known.email, issuer_name=scope.tenant.name),
        sealed=scope.keys.seal(msgspec.json.encode(offered).decode()),
    )


def offered_again(scope: Scope, known: Known, sealed: str) -> NewSecret:
    """The secret that a form brought back. Raises Invalid where it was another person's, or is too old."""
    try:
        offered = msgspec.json.decode(scope.keys.open(sealed), type=_Offered)
    except (SealedOtherwise, msgspec.MsgspecError) as error:
        raise Invalid(_("This form has grown old. Load the page again.")) from error
    if offered.staff_id != known.id or offered.until < scope.now().timestamp():
        raise Invalid(_("This form has grown old. Load the page again."))
    address = pyotp.TOTP(offered.secret).provisioning_uri(name=known.email, issuer_name=scope.tenant.name)
    return NewSecret(offered.secret, address, sealed)


async def set_app(scope: Scope, sealed: str, code: str) -> list[str]:
    """From now on codes of this app are asked for. Every session ends. Gives new recovery codes."""
    known = await get_own(scope)
    secret = offered_again(scope, known, sealed).secret
    step = _step_of(scope, secret, code)
    if step is None:
        raise Invalid(_("This code does not fit. Type the one that the app shows now."), field="code")
    async with unit_of_work(scope):
        await execute(
            "UPDATE staff SET totp_sealed = :sealed, totp_step = :step, totp_since = :now WHERE id = :id",
            sealed=scope.keys.seal(secret),
            step=step,
            now=scope.now(),
            id=known.id,
        )
        record(scope, SecondFactorSet(staff_id=known.id, factor="app"))
        await notify(scope, known.id, N_("An authenticator app was set up for your account."))
        await end_everywhere(scope, known.id)
        return await make_recovery_codes(scope)


class _Secret(Struct, frozen=True):
    id: int
    totp_sealed: str


async def reseal_apps(scope: Scope) -> int:
    """Seal again with the newest key the secrets of apps that an older one sealed. Gives how many."""
    done = 0
    async with unit_of_work(scope):
        for each in await rows(_Secret, "SELECT id, totp_sealed FROM staff WHERE totp_sealed <> '' ORDER BY id"):
            fresh = scope.keys.rotate(each.totp_sealed)
            if fresh != each.totp_sealed:
                done += await execute(
                    "UPDATE staff SET totp_sealed = :fresh WHERE id = :id AND totp_sealed = :was",
                    fresh=fresh,
                    id=each.id,
                    was=each.totp_sealed,
                )
    return done


async def remove_app(scope: Scope) -> None:
    """Codes of the app are no longer asked for. Every session ends. Raises Conflict where it is the last second factor
    of somebody who needs one."""
    async with unit_of_work(scope):
        known = await get_own(scope)
        if not known.passkeys and await is_required(scope, known):
            raise Conflict(_("You need a second factor to log in. Add a passkey first."))
        await execute("UPDATE staff SET totp_sealed = '', totp_since = NULL WHERE id = :id", id=known.id)
        await forget_codes_of_nobody(known)
        record(scope, SecondFactorRemoved(staff_id=known.id, factor="app"))
        await notify(scope, known.id, N_("The authenticator app of your account was removed."))
        await end_everywhere(scope, known.id)


async def forget_codes_of_nobody(known: Known) -> None:
    """Recovery codes stand in for a second factor: without one there are none."""
    left = await value(
        "SELECT (SELECT count(*) FROM passkey WHERE staff_id = :id)"
        " + (SELECT count(*) FROM staff WHERE id = :id AND totp_sealed <> '')",
        id=known.id,
    )
    if not left:
        await execute("DELETE FROM recovery_code WHERE staff_id = :id", id=known.id)


async def make_recovery_codes(scope: Scope) -> list[str]:
    """New codes in the place of the old ones. They are shown this once: only their hashes are kept."""
    codes = ["-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(4)) for _ in range(CODES)]
    async with unit_of_work(scope):
        known = await get_own(scope)
        await execute("DELETE FROM recovery_code WHERE staff_id = :id", id=known.id)
        await execute_many(
            "INSERT INTO recovery_code (staff_id, code_hash) VALUES (:id, :hash)",
            [{"id": known.id, "hash": hash_token(code.replace("-", ""))} for code in codes],
        )
        record(scope, RecoveryCodesMade(staff_id=known.id))
    return codes


async def count_recovery_codes(staff_id: int) -> int:
    """How many are left."""
    found: int = await value("SELECT count(*) FROM recovery_code WHERE staff_id = :id AND used_at IS NULL", id=staff_id)
    return found


async def take_code(scope: Scope, known: Known, typed: str) -> bool:
    """Whether it is a code of the user's app for a step that was not used yet, or an unused recovery code; then it is
    used up. `scope` acts as the user."""
    code = "".join(typed.split()).replace("-", "").lower()
    if code.isdecimal() and len(code) == 6:
        return await _take_step(scope, known, code)
    async with unit_of_work(scope):
        used = await execute(
            "UPDATE recovery_code SET used_at = :now WHERE staff_id = :id AND code_hash = :hash AND used_at IS NULL",
            now=scope.now(),
            id=known.id,
            hash=hash_token(code),
        )
        if used:
            record(scope, RecoveryCodeUsed(staff_id=known.id))
            await notify(scope, known.id, N_("A recovery code was used to log in to your account."))
    return bool(used)


async def _take_step(scope: Scope, known: Known, code: str) -> bool:
    if not known.totp_sealed:
        return False
    step = _step_of(scope, scope.keys.open(known.totp_sealed), code)
    if step is None:
        return False
    async with unit_of_work(scope):
        return bool(
            await execute(
                "UPDATE staff SET totp_step = :step WHERE id = :id AND totp_step < :step", step=step, id=known.id
            )
        )


def _step_of(scope: Scope, secret: str, code: str) -> int | None:
    """The step that this code belongs to, now or just before or after."""
    clock = SystemClock() if scope.tenant.test_clock else scope.clock  # the telephone's clock runs on
    now = int(clock.now().timestamp()) // STEP
    totp, code = pyotp.TOTP(secret), "".join(code.split())
    for step in range(now - DRIFT, now + DRIFT + 1):
        if secrets.compare_digest(totp.at(step * STEP).encode(), code.encode()):
            return step
    return None


async def is_proof(scope: Scope, typed: str) -> bool:
    """Whether the actor has just shown that it is the one: by its password, or a code of its app."""
    known = await queries.find_known(scope.actor.id or 0)
    if known is not None and typed.isdecimal() and len(typed) == 6 and known.totp_sealed:
        return await _take_step(scope, known, typed)
    return await PASSWORDS.verify(known.password_hash if known else "", typed)


async def reset_second_factor(scope: Scope, staff_id: int) -> None:
    """Take the second factors of somebody else away, who has lost the device: app, passkeys, recovery codes. Every
    session ends; the person is told by mail."""
    async with unit_of_work(scope):
        await touchable(scope, staff_id)
        had = await execute(
            "UPDATE staff SET totp_sealed = '', totp_since = NULL WHERE id = :id AND totp_sealed <> ''", id=staff_id
        )
        had += await execute("DELETE FROM passkey WHERE staff_id = :id", id=staff_id)
        had += await execute("DELETE FROM recovery_code WHERE staff_id = :id", id=staff_id)
        if not had:
            return
        await end_everywhere(scope, staff_id)
        record(scope, SecondFactorReset(staff_id=staff_id))
        await notify(scope, staff_id, N_("The second factor of your account was reset by somebody who manages staff."))
