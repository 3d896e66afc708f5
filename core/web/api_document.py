"""The API's document as a tenant has it: what its plugins do not bring does not stand in it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from litestar.openapi.plugins import JsonRenderPlugin

from core.web.visit import API_PREFIX, visit_of

if TYPE_CHECKING:
    from litestar import Request


class DocumentOfTenant(JsonRenderPlugin):
    """Gives the part of the whole document that is there for the tenant; made once for each set of plugins."""

    def __init__(self, optional: Collection[str], *, path: str) -> None:
        """`optional`: names of plugins, each the first word of its operations' paths."""
        super().__init__(path=path)
        self._optional = frozenset(optional)
        self._made: dict[frozenset[str], bytes] = {}

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        off = self._optional - visit_of(request).scope.plugins
        if off not in self._made:
            self._made[off] = super().render(request, document_of(openapi_schema, off))
        return self._made[off]


def document_of(whole: Mapping[str, Any], off: Collection[str]) -> dict[str, Any]:
    """The document without these plugins, its schemas called as a person would call them."""
    return named(without(whole, off))


def named(document: Mapping[str, Any]) -> dict[str, Any]:
    """Schemas by short names, which clients make classes of: PageOfCustomerItem for the page of a list. Where two
    features have one of a name, each says whose it is."""
    schemas: dict[str, Any] = document["components"].get("schemas", {})
    short = {name: _short(name) for name in schemas}
    often = Counter(short.values())
    names = {name: f"{_feature(name)}{one}" if often[one] > 1 else one for name, one in short.items()}

    def renamed(part: Any) -> Any:
        if isinstance(part, Mapping):
            return {
                key: f"#/components/schemas/{names[inside.rpartition('/')[2]]}"
                if key == "$ref" and isinstance(inside, str)
                else renamed(inside)
                for key, inside in part.items()
            }
        return [renamed(inside) for inside in part] if isinstance(part, list) else part

    kept = {names[name]: {**renamed(schema), "title": names[name]} for name, schema in schemas.items()}
    whole = {**document, "components": {**document["components"], "schemas": {}}}
    made: dict[str, Any] = renamed(whole)
    return {**made, "components": {**made["components"], "schemas": kept}}


def _short(name: str) -> str:
    """Without its module: Page_core.customers.schemas.CustomerItem_ is PageOfCustomerItem."""
    if listed := re.fullmatch(r"(\w+?)_([\w.]+)_", name):
        return f"{listed[1]}Of{_short(listed[2])}"
    return re.split(r"[._]", name)[-1]


def _feature(name: str) -> str:
    """The feature or plugin of a schema that is called by its module, as the beginning of a name."""
    found = re.search(r"(?:core|plugins)[._]([a-z0-9]+)", name)
    return found[1].capitalize() if found else ""


def without(document: Mapping[str, Any], off: Collection[str]) -> dict[str, Any]:
    """The document without the operations of these plugins, and without what only they speak of."""
    paths = {path: operations for path, operations in document["paths"].items() if _plugin_of(path) not in off}
    schemas: dict[str, Any] = document["components"].get("schemas", {})
    named: set[str] = set()
    waiting = list(_named_in(paths))
    while waiting:
        name = waiting.pop()
        if name in schemas and name not in named:
            named.add(name)
            waiting.extend(_named_in(schemas[name]))
    kept = {name: schema for name, schema in schemas.items() if name in named}
    return {**document, "paths": paths, "components": {**document["components"], "schemas": kept}}


def _plugin_of(path: str) -> str:
    """The first word behind /api/v1/."""
    return path.removeprefix(API_PREFIX).partition("/")[2].partition("/")[0]


def _named_in(part: object) -> Iterator[str]:
    """Names of the schemas that this part of the document refers to."""
    if isinstance(part, Mapping):
        for key, inside in part.items():
            if key == "$ref" and isinstance(inside, str):
                yield inside.rpartition("/")[2]
            else:
                yield from _named_in(inside)
    elif isinstance(part, list):
        for inside in part:
            yield from _named_in(inside)
