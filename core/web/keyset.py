"""Pages of a list in the order of its ids, the newest first, in both directions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Generic, TypeVar
from urllib.parse import urlencode

from msgspec import Struct

from core.database import rows, value
from core.texts import _, number
from core.web.parts import Pager

S = TypeVar("S", bound=Struct)

SIZE: Final = 50
COUNTED: Final = 1000


class Slice(Struct, Generic[S], frozen=True, kw_only=True):
    """Rows of a page; the ids behind which the pages before and after it begin, 0 where there are none."""

    found: Sequence[S]
    newer: int
    older: int


async def slice_of(
    into: type[S],
    select: str,
    where: str,
    values: Mapping[str, Any],
    *,
    key: str,
    id_of: Callable[[S], int],
    after: int = 0,
    before: int = 0,
    size: int = SIZE,
) -> Slice[S]:
    """A page of `select … WHERE where` by `key`, descending. `after`: rows older than this id; `before`: newer ones."""
    backwards = bool(before) and not after
    place = f" AND {key} > :row_id" if backwards else f" AND {key} < :row_id" if after else ""
    found = await rows(
        into,
        f"{select} WHERE {where}{place} ORDER BY {key} {'ASC' if backwards else 'DESC'} LIMIT :limit",
        **values,
        **({"row_id": before if backwards else after} if place else {}),
        limit=size + 1,
    )
    more = len(found) > size
    shown = found[:size]
    if backwards:
        shown.reverse()
    if not shown:
        return Slice(found=[], newer=0, older=0)
    first, last = id_of(shown[0]), id_of(shown[-1])
    return Slice(
        found=shown,
        newer=first if (more if backwards else after) else 0,
        older=last if (backwards or more) else 0,
    )


async def counted(tables: str, where: str, values: Mapping[str, Any]) -> int:
    """How many there are, up to one more than is said."""
    return int(
        await value(
            f"SELECT count(*) FROM (SELECT 1 FROM {tables} WHERE {where} LIMIT {COUNTED + 1}) AS counted", **values
        )
    )


def pager_of(path: str, kept: Mapping[str, str], page: Slice[Any], count: int) -> Pager:
    """“50 of 1,000+”, and the addresses of the other pages."""
    total = number(count) if count <= COUNTED else f"{number(COUNTED)}+"
    said = _("%(done)s of %(total)s", done=number(len(page.found)), total=total)
    return Pager(
        said=said,
        first=address(path, kept) if page.newer else "",
        previous=address(path, kept, before=page.newer) if page.newer else "",
        next=address(path, kept, after=page.older) if page.older else "",
    )


def address(path: str, kept: Mapping[str, object], **changed: object) -> str:
    """The list's address with these parameters; what is empty is left out."""
    given = {name: str(text) for name, text in {**kept, **changed}.items() if text not in ("", None, 0)}
    return f"{path}?{urlencode(given)}" if given else path


def row_id(text: str) -> int:
    """An id of the address; 0 where it is none."""
    return int(text) if text.isdecimal() and len(text) < 19 else 0
