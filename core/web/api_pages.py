"""The API's document as a page for people: operations by area, their parameters, bodies and answers, each with a call
to copy. Drawn by the server: no script has to be trusted with the document, and the browser's own search finds all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from anyio import to_thread
from litestar import Response
from markupsafe import Markup, escape
from msgspec import Struct

from core.texts import N_, _
from core.web.api_document import document_of
from core.web.jsonapi import IDEMPOTENCY_HEADER
from core.web.routing import PUBLIC, get, http_handlers
from core.web.view import HTML, View

METHODS: Final = ("get", "post", "put", "patch", "delete")
ADDRESS: Final = "https://tenant.example"
"""Stands in calls for the tenant's own address."""
KEPT: Final = 64
"""Pages that are kept, the latest made."""
DEEPEST: Final = 4
"""How deep an example goes into schemas that hold others."""
LIMITS: Final = (
    ("minimum", "≥ {}"),
    ("exclusiveMinimum", "> {}"),
    ("maximum", "≤ {}"),
    ("exclusiveMaximum", "< {}"),
    ("minItems", N_("at least {} of them")),
    ("maxItems", N_("at most {} of them")),
    ("minLength", N_("at least {} characters")),
    ("maxLength", N_("at most {} characters")),
    ("pattern", N_("pattern {}")),
    ("default", N_("else {}")),
)
_CODE: Final = re.compile(r"`([^`]+)`")


class Kind(Struct, frozen=True):
    """What a value is: words, and the schema that they name."""

    words: str
    ref: str = ""


class Field(Struct, frozen=True, kw_only=True):
    """A parameter, or a field of a schema."""

    name: str
    kind: Kind
    required: bool
    about: str = ""
    limits: str = ""
    place: str = ""


class Answer(Struct, frozen=True):
    """What may come back."""

    status: str
    about: str
    kind: Kind | None


class Operation(Struct, frozen=True, kw_only=True):
    key: str
    method: str
    path: str
    summary: str
    about: str
    permission: str
    fields: Sequence[Field]
    body: Kind | None
    body_type: str
    answers: Sequence[Answer]
    refusals: str
    """The statuses that it may be refused with, as all operations are."""
    call: str


class Area(Struct, frozen=True):
    key: str
    label: str
    operations: Sequence[Operation]


class Schema(Struct, frozen=True, kw_only=True):
    name: str
    about: str
    fields: Sequence[Field]
    kind: Kind | None
    """What it is, where it has no fields."""


def areas_of(document: Mapping[str, Any], permissions: Mapping[tuple[str, str], str], address: str) -> list[Area]:
    """The operations by their first tag, in the order of the document. `address`: where calls go to."""
    found: dict[str, list[Operation]] = {}
    for path, operations in document["paths"].items():
        for method in METHODS:
            if method in operations:
                tag = (operations[method].get("tags") or ["Other"])[0]
                made = _operation(document, method, path, operations[method], permissions, address)
                found.setdefault(tag, []).append(made)
    return [Area(key_of(tag), tag, some) for tag, some in found.items()]


def schemas_of(document: Mapping[str, Any]) -> list[Schema]:
    """Every schema by its name."""
    schemas: dict[str, Any] = document["components"].get("schemas", {})
    return [
        Schema(
            name=name,
            about=schema.get("description", ""),
            fields=list(_fields(schema)),
            kind=kind_of(schema) if not schema.get("properties") else None,
        )
        for name, schema in sorted(schemas.items())
    ]


def key_of(text: str) -> str:
    """For an address: small letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def name_of(ref: str) -> str:
    return ref.rpartition("/")[2]


def with_code(text: str) -> Markup:
    """What stands between backticks as code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))


def kind_of(schema: Mapping[str, Any]) -> Kind:
    """A schema in a few words, with the one that it names."""
    if "$ref" in schema:
        name = name_of(schema["$ref"])
        return Kind(name, name)
    for several in ("oneOf", "anyOf"):
        if several in schema:
            kinds = [kind_of(one) for one in schema[several]]
            ref = next((kind.ref for kind in kinds if kind.ref), "")
            return Kind(f" {_('or')} ".join(kind.words for kind in kinds), ref)
    if "enum" in schema:
        return Kind(f" {_('or')} ".join(json.dumps(one, ensure_ascii=False) for one in schema["enum"]))
    if "const" in schema:
        return Kind(json.dumps(schema["const"], ensure_ascii=False))
    match schema.get("type"):
        case "array":
            inside = kind_of(schema.get("items") or {})
            return Kind(_("list of %(what)s", what=inside.words), inside.ref)
        case "object" if isinstance(schema.get("additionalProperties"), Mapping):
            inside = kind_of(schema["additionalProperties"])
            return Kind(_("object with %(what)s by name", what=inside.words), inside.ref)
        case list() as types:
            return Kind(f" {_('or')} ".join(types))
        case str() as kind:
            return Kind(f"{kind}, {schema['format']}" if "format" in schema else kind)
        case _:
            return Kind(_("anything"))


def example_of(document: Mapping[str, Any], schema: Mapping[str, Any], deep: int = 0) -> Any:
    """A value that fits: every field that must be there, and no other."""
    schemas: dict[str, Any] = document["components"].get("schemas", {})
    if "$ref" in schema:
        return example_of(document, schemas.get(name_of(schema["$ref"]), {}), deep)
    for several in ("oneOf", "anyOf"):
        if several in schema:
            there = [one for one in schema[several] if one.get("type") != "null"]
            return example_of(document, there[0] if there else {}, deep)
    if "const" in schema or "enum" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    match schema.get("type"):
        case "object":
            inside: dict[str, Any] = schema.get("properties", {})
            wanted = schema.get("required") or list(inside)[:2]
            return {name: example_of(document, inside[name], deep + 1) for name in wanted if deep < DEEPEST}
        case "array":
            return [example_of(document, schema.get("items") or {}, deep + 1)] if deep < DEEPEST else []
        case "integer":
            return max(1, int(schema.get("minimum", 1)))
        case "number":
            return max(1, schema.get("minimum", 1))
        case "boolean":
            return True
        case _:
            return {"date": "2026-12-01", "date-time": "2026-12-01T09:00:00Z"}.get(schema.get("format", ""), "…")


def _fields(schema: Mapping[str, Any]) -> Iterator[Field]:
    required = schema.get("required") or ()
    for name, inside in (schema.get("properties") or {}).items():
        yield Field(
            name=name,
            kind=kind_of(inside),
            required=name in required,
            about=inside.get("description", ""),
            limits=_limits(inside),
        )


def _limits(schema: Mapping[str, Any]) -> str:
    """What a value must keep to. A limit of 64 bits says nothing to a person."""
    told = [
        _(words).format(json.dumps(schema[name], ensure_ascii=False) if name == "default" else _plain(schema[name]))
        for name, words in LIMITS
        if name in schema and schema[name] not in (None, "", [], {}) and not (name == "maximum" and schema[name] > 1e18)
    ]
    return ", ".join(told)


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _operation(
    document: Mapping[str, Any],
    method: str,
    path: str,
    operation: Mapping[str, Any],
    permissions: Mapping[tuple[str, str], str],
    address: str,
) -> Operation:
    body_type, body = _content_of(operation.get("requestBody"))
    parameters = [
        Field(
            name=each["name"],
            kind=kind_of(each.get("schema") or {}),
            required=bool(each.get("required")),
            about=each.get("description", ""),
            limits=_limits(each.get("schema") or {}),
            place=each["in"],
        )
        for each in operation.get("parameters") or ()
    ]
    answers, refusals = _answers(operation["responses"])
    return Operation(
        key=f"{method}-{key_of(path.removeprefix('/api/v1'))}",
        method=method.upper(),
        path=path,
        summary=operation.get("summary", ""),
        about=operation.get("description", ""),
        permission=permissions.get((method.upper(), path), ""),
        fields=parameters,
        body=kind_of(body["schema"]) if "schema" in body else None,
        body_type=body_type,
        answers=answers,
        refusals=refusals,
        call=_call(document, method, path, body_type, body.get("schema"), address),
    )


def _content_of(part: Mapping[str, Any] | None) -> tuple[str, dict[str, Any]]:
    """The media type of a body or an answer, and what is said of it."""
    content: dict[str, dict[str, Any]] = (part or {}).get("content") or {}
    return next(iter(content.items()), ("", {}))


def _answers(responses: Mapping[str, Any]) -> tuple[list[Answer], str]:
    """What it answers when it is well; and the statuses of problems, which are told once for all."""
    answers, refusals = [], []
    for status, response in responses.items():
        media, content = _content_of(response)
        if media == "application/problem+json":
            refusals.append(status)
            continue
        schema = content.get("schema")
        answers.append(Answer(status, media, kind_of(schema) if schema else None))
    return answers, ", ".join(refusals)


def _call(
    document: Mapping[str, Any], method: str, path: str, body_type: str, schema: Mapping[str, Any] | None, address: str
) -> str:
    """The operation as a command line."""
    parts = ["curl" if method == "get" else f"curl -X {method.upper()}", f"'{address}{path}'"]
    parts.append("-H 'Authorization: Bearer tnt_…'")
    if method != "get":
        parts.append(f"-H '{IDEMPOTENCY_HEADER.title()}: order-4711'")
    if body_type == "multipart/form-data":
        parts.append("-F 'file=@customers.csv'")
    elif schema is not None:
        example = json.dumps(example_of(document, schema), ensure_ascii=False).replace("'", "’")
        parts += [f"-H 'Content-Type: {body_type}'", f"-d '{example}'"]
    return " \\\n  ".join(parts)


def permissions_by_operation(app: Any) -> dict[tuple[str, str], str]:
    """What a token must have, by method and path as the document has it."""
    return {
        (method, re.sub(r"\{(\w+):\w+\}", r"{\1}", path)): str(handler.opt.get("permission", ""))
        for method, path, handler in http_handlers(app)
    }


class Drawn(Struct, frozen=True):
    """A document, taken apart."""

    areas: list[Area]
    schemas: list[Schema]
    problems: list[Answer]


_drawn: Final[dict[tuple[frozenset[str], str], Drawn]] = {}
_pages: Final[dict[tuple[object, ...], str]] = {}


@get("/api/v1/docs", permission=PUBLIC)
async def show_api(view: View) -> Response[str]:
    """The page of the tenant's own API: operations of plugins that are off are not there. Kept once it was made, since
    anybody may ask for it."""
    app, scope = view.request.app, view.scope
    off = frozenset(app.state.optional_apis) - scope.plugins
    key = (id(app), off, scope.locale, scope.tenant.name, scope.tenant.address)
    if key not in _pages:
        drawn = _drawn.get((off, scope.locale))
        if drawn is None:
            drawn = _drawn[off, scope.locale] = await to_thread.run_sync(_draw, app, off)
        page = view.page(
            "api/docs.html",
            areas=drawn.areas,
            schemas=drawn.schemas,
            problems=drawn.problems,
            address=ADDRESS,
            with_code=with_code,
        )
        while len(_pages) >= KEPT:
            del _pages[next(iter(_pages))]
        _pages[key] = str(page.content)
    return Response(_pages[key], media_type=HTML)


def _draw(app: Any, off: frozenset[str]) -> Drawn:
    document = document_of(app.openapi_schema.to_schema(), off)
    areas = areas_of(document, permissions_by_operation(app), ADDRESS)
    return Drawn(areas, schemas_of(document), _problems(document))


def _problems(document: Mapping[str, Any]) -> list[Answer]:
    """What every operation may be refused with."""
    found: dict[str, str] = {}
    for operations in document["paths"].values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                if "application/problem+json" in (response.get("content") or {}):
                    found.setdefault(status, response.get("description", ""))
    return [Answer(status, about, Kind("Problem", "Problem")) for status, about in sorted(found.items())]


HANDLERS = (show_api,)
