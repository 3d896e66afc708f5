"""A message as mail: text, the same as simple HTML, and its files."""

from __future__ import annotations

import re
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8, EmailPolicy
from email.utils import format_datetime
from typing import TYPE_CHECKING, Final

import css_inline
from markupsafe import Markup, escape
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from core.messages.settings import MailSettings
    from core.messages.words import Filled

_LINK: Final = re.compile(r"https?://[^\s<>\"']*[^\s<>\"'.,;:!?)]")
_PAGE: Final = """<!doctype html>
<html lang="{language}"><head><meta charset="utf-8"><title>{subject}</title><style>
body {{ margin: 0; padding: 24px 12px; background: #f3f4f6; }}
.sheet {{ max-width: 560px; margin: 0 auto; padding: 24px 28px; background: #fff; border: 1px solid #d9dde2; }}
.sheet, p {{ font: 15px/22px -apple-system, "Segoe UI", Roboto, Helvetica, Arial, sans-serif; color: #14181f; }}
.name {{ margin: 0 0 20px; font-size: 17px; font-weight: 700; }}
p {{ margin: 0 0 14px; }}
a {{ color: #1d4fd8; }}
</style></head><body><div class="sheet"><p class="name">{name}</p>{paragraphs}</div></body></html>"""


class Attachment(Struct, frozen=True):
    name: str
    media_type: str
    data: bytes


def compose(
    filled: Filled,
    *,
    settings: MailSettings,
    recipients: Sequence[str],
    copies: Sequence[str],
    message_id: str,
    at: datetime,
    language: str,
    tenant_name: str,
    attachments: Sequence[Attachment] = (),
    by_hand: bool = False,
) -> EmailMessage:
    """The whole mail. The same arguments give the same bytes but for the boundaries between its parts."""
    mail = EmailMessage(policy=policy_for([settings.sender_address, *recipients, *copies]))
    mail["From"] = _address(settings.sender_address, settings.sender_name or tenant_name)
    mail["To"] = [_address(address) for address in recipients]
    if copies:
        mail["Cc"] = [_address(address) for address in copies]
    if settings.reply_to:
        mail["Reply-To"] = _address(settings.reply_to)
    mail["Subject"] = filled.subject
    mail["Date"] = format_datetime(at)
    mail["Message-ID"] = message_id
    mail["Content-Language"] = language
    if not by_hand:
        mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(filled.text)
    mail.add_alternative(page_of(filled, language, tenant_name), subtype="html")
    for attachment in attachments:
        main, _, sub = attachment.media_type.partition("/")
        mail.add_attachment(attachment.data, maintype=main, subtype=sub or "octet-stream", filename=attachment.name)
    return mail


def _address(address: str, name: str = "") -> Address:
    local, _, domain = address.rpartition("@")
    return Address(name, username=local, domain=domain)


def policy_for(addresses: Sequence[str]) -> EmailPolicy[EmailMessage]:
    """How headers are written: encoded, but where an address itself has letters beyond ASCII."""
    return SMTP if all(address.isascii() for address in addresses) else SMTPUTF8


def page_of(filled: Filled, language: str, tenant_name: str) -> str:
    """The text as HTML: paragraphs, line breaks, links; styles at the elements, where mail programs look for them."""
    paragraphs = [part.strip("\n") for part in re.split(r"\n\s*\n", filled.text.strip())]
    page = _PAGE.format(
        language=escape(language),
        subject=escape(filled.subject),
        name=escape(tenant_name),
        paragraphs="".join(f"<p>{_lines(part)}</p>" for part in paragraphs),
    )
    return css_inline.inline(page)


def _lines(part: str) -> Markup:
    return Markup("<br>").join(_linked(line) for line in part.split("\n"))


def _linked(line: str) -> Markup:
    found, last = Markup(), 0
    for link in _LINK.finditer(line):
        found += escape(line[last : link.start()]) + Markup('<a href="{0}">{0}</a>').format(link[0])
        last = link.end()
    return found + escape(line[last:])
