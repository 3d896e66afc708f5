"""The tenant's mail server."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct

from core.settings.fields import Secret
from core.texts import N_


class MailSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How mail goes out, and in whose name. Without host and sender's address nothing does: messages wait."""

    SETTINGS_KEY: ClassVar[str] = "mail"

    host: Annotated[str, Meta(max_length=253, title=N_("Mail server"), description="smtp.example.com")] = ""
    port: Annotated[int, Meta(ge=1, le=65535, title=N_("Port"))] = 587
    security: Annotated[
        Literal["starttls", "tls", "none"],
        Meta(
            title=N_("Encryption"),
            description=N_("STARTTLS with port 587, TLS with 465"),
            extra={"labels": {"starttls": "STARTTLS", "tls": "TLS"}},
        ),
    ] = "starttls"
    user: Annotated[str, Meta(max_length=254, title=N_("User name"), description=N_("Empty: without logging in"))] = ""
    password: Annotated[Secret, Meta(title=N_("Password"))] = ""
    sender_name: Annotated[str, Meta(max_length=100, title=N_("Sender’s name"))] = ""
    sender_address: Annotated[str, Meta(max_length=254, title=N_("Sender’s address"))] = ""
    reply_to: Annotated[
        str, Meta(max_length=254, title=N_("Answers to"), description=N_("Empty: to the sender’s address"))
    ] = ""
    bcc: Annotated[
        str, Meta(max_length=254, title=N_("Copy of everything to"), description=N_("An archive, unseen by recipients"))
    ] = ""

    def __repr__(self) -> str:
        return f"MailSettings({self.host!r}, {self.port}, …)"

    @property
    def is_set_up(self) -> bool:
        return bool(self.host and self.sender_address)
