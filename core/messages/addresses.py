"""E-mail addresses as they are typed, and as a mail server takes them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from email_validator import EmailNotValidError, validate_email

from core.errors import FieldError, Invalid
from core.texts import _

MOST = 20
"""Recipients of one message."""


def check_addresses(addresses: Iterable[str], field: str) -> list[str]:
    """The addresses in their normal form, each once. Raises Invalid that names each wrong one."""
    found: dict[str, None] = {}
    errors: list[FieldError] = []
    for address in addresses:
        try:
            found[validate_email(address.strip(), check_deliverability=False, test_environment=True).normalized] = None
        except EmailNotValidError:
            errors.append(FieldError(field, _("“%(address)s” is no e-mail address.", address=address.strip())))
    if errors:
        raise Invalid(errors=errors)
    if len(found) > MOST:
        raise Invalid(_("A message has at most %(most)s recipients.", most=MOST), field=field)
    return list(found)


def on_the_wire(address: str) -> str:
    """The address as a mail server takes it: a domain beyond ASCII encoded, unless letters before the @ are too."""
    checked = validate_email(address, check_deliverability=False, test_environment=True)
    return checked.ascii_email or checked.normalized


def typed_addresses(text: str) -> list[str]:
    """Addresses parted by commas, semicolons or lines."""
    return [part.strip() for part in re.split(r"[,;\n]", text) if part.strip()]
