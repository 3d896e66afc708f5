"""What a page's handler has in its hand: the scope, the form, and the ways to answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar
from urllib.parse import quote

from litestar import Request, Response
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.exceptions import SerializationException
from markupsafe import Markup
from msgspec import Struct

from core.errors import FieldError, Invalid
from core.texts import _
from core.web import csrf, once, proof
from core.web.forms import from_form
from core.web.visit import visit_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from litestar.datastructures import UploadFile

    from core.scope import Scope
    from core.web.menu import MenuEntry, Place
    from core.web.visit import Visit

S = TypeVar("S", bound=Struct)

TOAST: Final = "toast"
MOST_SAID: Final = 300
"""Letters of a toast: four bytes each, encoded, stay below what browsers keep as a cookie."""
HTML: Final = "text/html"
"""Litestar says the character set beside it."""


class PageView:
    """Made for each request of a page. Handlers ask it for what was typed and let it answer."""

    def __init__(
        self,
        request: Request[Any, Any, Any],
        render: Callable[[PageView, str, dict[str, Any]], str],
        menu: Callable[[Scope], Sequence[MenuEntry]],
        places: Callable[[Scope], Sequence[Place]],
    ) -> None:
        self.request = request
        self._menu = menu
        self._places = places
        self.visit: Visit = visit_of(request)
        self._render = render
        self.typed: dict[str, list[str]] = {}
        self.files: dict[str, UploadFile] = {}
        self.form_key = ""

    @property
    def scope(self) -> Scope:
        return self.visit.scope

    @property
    def menu(self) -> Sequence[MenuEntry]:
        """The pages that the side bar offers this actor."""
        return self._menu(self.scope)

    @property
    def places(self) -> Sequence[Place]:
        """Everything that this actor may go to or begin."""
        return self._places(self.scope)

    @property
    def is_htmx(self) -> bool:
        """Whether a part of a page is wanted, not the whole."""
        return self.request.headers.get("hx-request-type") == "partial"

    @property
    def secure(self) -> bool:
        return self.visit.bound.secure

    @property
    def csrf_token(self) -> str:
        return csrf.csrf_token(self.visit.session_token, self.scope.tenant.uuid)

    @property
    def query(self) -> dict[str, str]:
        """The address's parameters, the last one of each name."""
        return {key: values for key, values in self.request.query_params.items() if isinstance(values, str)}

    async def form(self, into: type[S]) -> S:
        """What was typed, as `into`. Raises Invalid with every wrong field; `typed` keeps it for showing it again."""
        await self.read()
        return from_form(into, self.typed)

    async def read(self) -> None:
        """Read the form's fields into `typed` and its files into `files`."""
        try:
            form = await self.request.form()
        except SerializationException as error:
            raise Invalid(_("The form could not be read. Load the page again.")) from error
        self.typed, self.files, self.form_key = {}, {}, ""
        for key, value in form.multi_items():
            if key in (csrf.FIELD, proof.FIELD):
                continue
            if key == once.FIELD:
                self.form_key = value[:200] if isinstance(value, str) else ""
                continue
            if isinstance(value, str):
                self.typed.setdefault(key, []).append(value)
            else:
                self.files[key] = value

    def shown(self, **defaults: object) -> dict[str, object]:
        """The values of a form: what was typed, else the defaults."""
        return {**defaults, **{key: values[-1] if values else "" for key, values in self.typed.items()}}

    def page(self, template: str, *, status: int = 200, **values: Any) -> Response[str]:
        """A template with its values."""
        response = Response(self._render(self, template, values), status_code=status, media_type=HTML)
        if TOAST in self.request.cookies and not self.is_htmx:
            response.delete_cookie(TOAST)
        return response

    def drawer(
        self, template: str, *, page_title: str, status: int = 200, back: str = "", **values: Any
    ) -> Response[str]:
        """What opens in a drawer. Asked for by its own address (opened anew, sent to a colleague), it comes with a page
        around; `back` is where that leads when the drawer is closed, else the record that the address is about."""
        if self.is_htmx:
            return self.page(template, status=status, **values)
        around = {
            "inside": template,
            "page_title": page_title,
            "back": back or _record_of(self.request.url.path),
        }
        return self.page("_partials/drawer.html", status=status, **around, **values)

    def part(self, template: str, **values: Any) -> str:
        """A template as text, to stand in another one or in a stream."""
        return Markup(self._render(self, template, values))

    def go(self, path: str, toast: str = "") -> Response[str]:
        """See another page next; `toast` is said there once."""
        headers = {"HX-Redirect": path} if self.is_htmx else {"Location": path}
        response = Response("", status_code=200 if self.is_htmx else 303, headers=headers, media_type=HTML)
        if toast:
            said = toast if len(toast) <= MOST_SAID else f"{toast[: MOST_SAID - 1]}…"
            response.set_cookie(
                Cookie(key=TOAST, value=quote(said), httponly=True, secure=self.secure, samesite="lax", max_age=30)
            )
        return response


def _record_of(path: str) -> str:
    """/customers/12 of /customers/12/status; /billing/runs of /billing/runs/preview."""
    parts = path.strip("/").split("/")
    numbered = next((at for at, part in enumerate(parts) if part.isdecimal()), None)
    kept = min(2, len(parts) - 1) if numbered is None else numbered + 1
    return "/" + "/".join(parts[:kept])


View: TypeAlias = NamedDependency[PageView]
"""As handlers of pages take it: `async def show(view: View)`."""


def errors_by_field(error: Invalid) -> dict[str, str]:
    """For templates: the first message of each field; "" holds what is about the whole form."""
    errors: dict[str, str] = {}
    for fault in error.errors or (FieldError("", error.message),):
        errors.setdefault(fault.field, fault.message)
    return errors
