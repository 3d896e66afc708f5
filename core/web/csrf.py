"""Requests that change something must come from our own pages: a token bound to session and tenant, and the Origin."""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from core.errors import Forbidden
from core.texts import _

if TYPE_CHECKING:
    from uuid import UUID

    from core.web.visit import Visit

FIELD: Final = "_csrf"
HEADER: Final = "x-csrftoken"
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def csrf_token(session_token: str, tenant: UUID) -> str:
    """Worthless in another session and in another tenant; empty where nobody is logged in."""
    if not session_token:
        return ""
    return hmac.new(session_token.encode(), b"csrf:" + tenant.bytes, sha256).hexdigest()


def check_origin(host: str, origin: str, fetch_site: str) -> None:
    """Raises Forbidden unless the browser says that one of this host's own pages sent the request."""
    if fetch_site and fetch_site not in ("same-origin", "none"):
        raise Forbidden(_("This request came from another site. Open the page here and try again."))
    if origin and origin != "null" and urlsplit(origin).netloc.lower() != host.lower():
        raise Forbidden(_("This request came from another site. Open the page here and try again."))
    if not origin and not fetch_site:
        raise Forbidden(_("The browser does not say where this request came from. Use a current browser."))


def check_token(visit: Visit, given: str) -> None:
    wanted = csrf_token(visit.session_token, visit.scope.tenant.uuid)
    if not wanted or not hmac.compare_digest(wanted.encode(), given.encode()):
        raise Forbidden(_("This page has grown old. Load it again and repeat what you did."))
