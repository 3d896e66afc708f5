"""Pages where no tenant is served: each complete in itself, as there is nobody whose files could be asked for."""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING

from core.web.csp import security_headers
from core.web.templating import environment

if TYPE_CHECKING:
    from jinja2 import Environment


def page_alone(template: str, *, secure: bool = False, **values: object) -> tuple[bytes, dict[str, str]]:
    """The page `alone/{template}.html` and the headers that it goes out with.

    The same values give the same bytes. Its few lines of style are allowed by their hash, nothing else may be loaded.
    """
    page = _templates().get_template(f"alone/{template}.html").render(values).encode()
    style = page.split(b"<style>", 1)[1].split(b"</style>", 1)[0]
    digest = b64encode(sha256(style).digest()).decode()
    headers = security_headers(secure=secure)
    headers["Content-Security-Policy"] = (
        f"default-src 'none'; style-src 'sha256-{digest}'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )
    headers["Content-Type"] = "text/html; charset=utf-8"
    headers["Cache-Control"] = "no-store"
    return page, headers


@cache
def _templates() -> Environment:
    return environment({}, {})
