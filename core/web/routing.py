"""Route decorators: each route names the permission that it needs, or the start fails."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import TYPE_CHECKING, Any, Final

from litestar.enums import HttpMethod
from litestar.handlers import HTTPRouteHandler
from litestar.params import ParameterKwarg
from litestar.routes import HTTPRoute

from core.errors import TryAgain
from core.web.csp import PERMISSIONS, permissions_policy
from core.web.public import KEY_MARK, PUBLIC_ROUTES, SECRET

if TYPE_CHECKING:
    from litestar import Litestar, Request

PUBLIC: Final = "public"
"""Anybody; only for the routes listed in core/web/public.py."""
SIGNED_IN: Final = "signed-in"
"""Whoever is logged in, whatever the role: one's own profile, the start page."""

# `fresh=True` on a route: whoever did not prove who it is within the last minutes is asked for it first (proof.py).
# `uses=("camera",)`: what of the device scripts of this page may ask the browser for (csp.py); no other page may.

Handler = Callable[..., Awaitable[Any]]
Decorator = Callable[[Handler], HTTPRouteHandler]


class RouteFault(Exception):
    """A route that does not say who may call it. Raised at start-up."""


def get(path: str, *, permission: str, **options: Any) -> Decorator:
    return _route("GET", path, permission, options)


def post(path: str, *, permission: str, **options: Any) -> Decorator:
    return _route("POST", path, permission, options)


def put(path: str, *, permission: str, **options: Any) -> Decorator:
    return _route("PUT", path, permission, options)


def patch(path: str, *, permission: str, **options: Any) -> Decorator:
    return _route("PATCH", path, permission, options)


def delete(path: str, *, permission: str, **options: Any) -> Decorator:
    return _route("DELETE", path, permission, options)


def _route(method: str, path: str, permission: str, options: dict[str, Any]) -> Decorator:
    options.setdefault("status_code", 200)
    options.setdefault("include_in_schema", False)
    uses = tuple(options.pop("uses", ()))
    opt = {"permission": permission, "fresh": options.pop("fresh", False), "uses": uses, **options.pop("opt", {})}
    if uses:
        options["response_headers"] = {**options.get("response_headers", {}), PERMISSIONS: permissions_policy(uses)}

    def decorate(handler: Handler) -> HTTPRouteHandler:
        function = handler if method == "GET" else once_more(handler)
        return HTTPRouteHandler(path, http_method=[HttpMethod(method)], opt=opt, **options)(function)

    return decorate


def once_more(handler: Handler) -> Handler:
    """The edge of a request: where the database asks to try again, the whole handler runs once more."""

    @functools.wraps(handler)
    async def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return await handler(*args, **kwargs)
        except TryAgain:
            return await handler(*args, **kwargs)

    return run


def names_sent(request: Request[Any, Any, Any]) -> dict[str, str]:
    """What the address calls the parameters of the function that answers it."""
    known = request.route_handler.parsed_fn_signature.parameters
    named = {name: each.kwarg_definition for name, each in known.items()}
    return {name: each.name or name if isinstance(each, ParameterKwarg) else name for name, each in named.items()}


def http_handlers(app: Litestar) -> Iterable[tuple[str, str, HTTPRouteHandler]]:
    """Every (method, path, handler) of the application; the isolation matrix is made from it."""
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for handler in route.route_handlers:
                for method in sorted(handler.http_methods):
                    if method not in ("OPTIONS", "HEAD"):
                        yield str(method), route.path, handler


def check_routes(app: Litestar, known: Collection[str], public: Collection[tuple[str, str]] = ()) -> None:
    """Raises RouteFault for a route without a permission, with one that nobody has, or public without being listed:
    here, or (`public`) in the manifest of its plugin."""
    for _, path in public:
        if SECRET in path and KEY_MARK + SECRET not in path:
            raise RouteFault(f"{path} is public and takes a token: it must stand behind {KEY_MARK}")
    for method, path, handler in http_handlers(app):
        permission = handler.opt.get("permission")
        if permission is None:
            if (method, path) not in PUBLIC_ROUTES:
                raise RouteFault(f"{method} {path} names no permission: give it one, or list it in core/web/public.py")
        elif permission == PUBLIC:
            if (method, path) not in PUBLIC_ROUTES and (method, path) not in public:
                raise RouteFault(f"{method} {path} is public but not listed in core/web/public.py")
        elif permission != SIGNED_IN and permission not in known:
            raise RouteFault(f"{method} {path} needs “{permission}”, a permission that no feature declares")
