"""A question to VIES over its REST interface, and what its answers mean.

Only `valid` is an answer. Registers of members are often down or busy: that is said by an error, with whatever status,
and sometimes beside a `valid` that is false. It never means that the id is not valid.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct
from stdnum.eu import vat

from core.billing.actions import default_seller
from core.errors import Conflict, Unavailable
from core.hooks import VatAnswer
from core.outbound import call
from core.settings.queries import load_settings
from core.texts import N_, _
from plugins.vies.settings import ViesSettings

if TYPE_CHECKING:
    from core.scope import Scope

HOSTS: Final = ("ec.europa.eu",)
BUSY: Final = {
    "MS_UNAVAILABLE": N_("The register of this member is down."),
    "SERVICE_UNAVAILABLE": N_("VIES is down."),
    "TIMEOUT": N_("The register of this member takes too long."),
    "SERVER_BUSY": N_("VIES is busy."),
    "GLOBAL_MAX_CONCURRENT_REQ": N_("VIES is busy."),
    "GLOBAL_MAX_CONCURRENT_REQ_TIME": N_("VIES is busy."),
    "MS_MAX_CONCURRENT_REQ": N_("The register of this member is busy."),
    "MS_MAX_CONCURRENT_REQ_TIME": N_("The register of this member is busy."),
    "IP_BLOCKED": N_("VIES has blocked this server."),
}
"""Errors that pass: whoever asks later is answered."""
REFUSED: Final = {
    "INVALID_REQUESTER_INFO": N_("VIES does not know your own VAT id. Look at the settings of the plugin VIES."),
    "VAT_BLOCKED": N_("VIES has blocked your own VAT id. Look at the settings of the plugin VIES."),
    "INVALID_INPUT": N_("VIES cannot read this VAT id."),
}
"""Errors that stay until somebody changes something."""
_NOTHING: Final = re.compile(r"[\s-]*")
"""What members write who do not tell name and address."""


class Question(Struct, frozen=True, rename="camel", omit_defaults=True):
    """The body of a question. Who asks may be left out; then there is no consultation number."""

    country_code: str
    vat_number: str
    requester_member_state_code: str = ""
    requester_number: str = ""


class _Error(Struct, frozen=True):
    error: str = ""


class _Answer(Struct, frozen=True, rename="camel"):
    """What is read of an answer, whatever else it holds."""

    valid: bool | None = None
    request_identifier: str | None = None
    name: str | None = None
    address: str | None = None
    user_error: str | None = None
    action_succeed: bool | None = None
    error_wrappers: list[_Error] | None = None

    @property
    def error(self) -> str:
        """The error that it tells of, "" for none."""
        if self.error_wrappers:
            return self.error_wrappers[0].error or "?"
        if self.user_error and self.user_error not in ("VALID", "INVALID"):
            return self.user_error
        return "?" if self.action_succeed is False else ""


async def ask(scope: Scope, vat_id: str) -> VatAnswer:
    """What VIES says of an id. Raises Unavailable where that is nothing, Conflict where it will stay nothing."""
    settings = await load_settings(ViesSettings)
    own = settings.own_vat_id or (await default_seller(scope)).vat_id
    reply = await call(
        scope,
        "POST",
        settings.address.rstrip("/") + "/check-vat-number",
        hosts=HOSTS,
        content=msgspec.json.encode(question(vat_id, own)),
        headers={"content-type": "application/json", "accept": "application/json"},
        seconds=settings.seconds,
    )
    return read(reply.status, reply.body)


def question(vat_id: str, own: str) -> Question:
    """An id of a member begins with the two letters that VIES knows it by: EL for Greece."""
    own = _compact(own)
    return Question(vat_id[:2], vat_id[2:], own[:2], own[2:])


def _compact(own: str) -> str:
    """The own id as VIES takes it, "" where it is none of a member."""
    if not vat.is_valid(own):
        return ""
    bare = str(vat.compact(own))
    return f"EL{bare[2:]}" if bare.startswith("GR") else bare


def read(status: int, body: bytes) -> VatAnswer:
    """What an answer says. Raises as `ask`."""
    try:
        said = msgspec.json.decode(body, type=_Answer)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        said = _Answer()
    if said.error in REFUSED:
        raise Conflict(_(REFUSED[said.error]))
    if said.error or status != 200 or said.valid is None:
        why = _(BUSY[said.error]) if said.error in BUSY else _("VIES gives no answer.")
        raise Unavailable(_("%(why)s Nothing was changed, try again later.", why=why), retry_after=60)
    return VatAnswer(
        valid=said.valid,
        consultation=_told(said.request_identifier),
        name=_told(said.name),
        address=_told(said.address),
    )


def _told(text: str | None) -> str:
    return "" if text is None or _NOTHING.fullmatch(text) else text.strip()
