"""Plans of change: what will happen is shown before it is done, and exactly that is done.

A plan is worked out by the deed itself, in a unit of work that is taken back. The act runs the deed again and looks,
before it commits, whether it came out as it was shown: if not, it is taken back too, and the new plan is shown with
what has changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec
from msgspec import Struct

from core.activity.asking import rehearsal
from core.activity.unit import again, unit_of_work
from core.errors import Conflict, Invalid
from core.texts import _
from core.web.once import FIELD, once
from core.web.parts import Field
from core.web.view import errors_by_field

if TYPE_CHECKING:
    from litestar import Response

    from core.scope import Scope
    from core.web.view import PageView


class PlanLine(Struct, frozen=True, kw_only=True):
    """What, with its value at the right; `before` is what it is now. `tone`: owes, plus. `rests_on` is not shown: what
    else must be the same for the plan to be the same."""

    text: str
    detail: str = ""
    value: str = ""
    before: str = ""
    tone: str = ""
    rests_on: str = ""
    changed: bool = False

    @property
    def mark(self) -> str:
        """The same for two lines exactly when they say the same."""
        said = "\n".join((self.text, self.detail, self.value, self.before, self.rests_on))
        return hashlib.sha256(said.encode()).hexdigest()[:16]


class PlanPart(Struct, frozen=True, kw_only=True):
    """Lines under a heading: Documents, Service, Money, Messages."""

    title: str
    lines: Sequence[PlanLine]
    note: str = ""
    total: PlanLine | None = None


class ChangePlan(Struct, frozen=True, kw_only=True):
    """What the drawer shows. `button` names the deed with its amount: "Upgrade and invoice €4.00"; empty: there is
    nothing to do."""

    title: str
    button: str
    parts: Sequence[PlanPart] = ()
    warnings: Sequence[str] = ()
    danger: bool = False
    keep: str = ""
    """What closes it; “Leave as it is” where it says nothing else."""

    @property
    def seen(self) -> str:
        """What the plan says, sent back with the act."""
        return ",".join(line.mark for line in self._lines())

    def against(self, seen: str) -> ChangePlan:
        """With the lines marked that were not seen before."""
        known = set(seen.split(","))

        def marked(line: PlanLine) -> PlanLine:
            return msgspec.structs.replace(line, changed=line.mark not in known)

        return msgspec.structs.replace(
            self,
            parts=[
                msgspec.structs.replace(
                    part,
                    lines=[marked(line) for line in part.lines],
                    total=marked(part.total) if part.total is not None else None,
                )
                for part in self.parts
            ],
        )

    def _lines(self) -> list[PlanLine]:
        return [
            line for part in self.parts for line in (*part.lines, *((part.total,) if part.total is not None else ()))
        ]


class Place(Struct, frozen=True, kw_only=True):
    """A drawer: its title, where its plan is asked for and where it is carried out, what goes along.

    `options` are fields that change the plan; with `options_title` they stand folded under it until one is used.
    """

    title: str
    asked: str
    sent: str
    options: Sequence[Field] = ()
    options_title: str = ""
    back: str = ""
    """Where closing leads when the drawer was opened by its own address; else the record of the address."""
    plan_only_with: str = ""
    """Before this field holds something there is nothing to plan, and nothing wrong."""


class Drawer(Struct, frozen=True, kw_only=True):
    """What _partials/change.html draws."""

    place: Place
    hidden: Sequence[tuple[str, str]] = ()
    options_open: bool = False
    plan: ChangePlan | None = None
    refused: str = ""
    stale: bool = False


class PlanChanged(Conflict):
    """Something came between the plan and the act. `plan` is the new one."""

    def __init__(self, plan: ChangePlan) -> None:
        super().__init__(_("Something has changed since this was worked out. Look at the marked lines."))
        self.plan = plan


T = TypeVar("T")

Deed = Callable[[], Awaitable[ChangePlan]]
"""Does it, inside the unit of work that is open, and says what it did."""


async def rehearse(scope: Scope, deed: Callable[[], Awaitable[T]]) -> T:
    """What the deed would do. Nothing of it stays. Documents that it issues have no number to show."""

    async def run() -> T:
        plans: list[T] = []
        async with rehearsal(scope):
            plans.append(await deed())
        return plans[0]

    return await again(run)


async def carry_out(scope: Scope, deed: Deed, seen: str) -> ChangePlan:
    """Do it, if it comes out as it was shown. Raises PlanChanged, and nothing is done, where it does not."""

    async def run() -> ChangePlan:
        async with unit_of_work(scope):
            return await _as_seen(deed, seen)

    return await again(run)


async def _as_seen(deed: Deed, seen: str) -> ChangePlan:
    plan = await deed()
    if plan.seen != seen:
        raise PlanChanged(plan.against(seen))
    return plan


# -- as pages ---------------------------------------------------------------------------------------------------------

Typed = Mapping[str, Sequence[str]]
_OURS: Final = frozenset({"seen", "_csrf", FIELD})


def asked(view: PageView) -> dict[str, list[str]]:
    """What a drawer asks for its plan with."""
    return {name: [text] for name, text in view.query.items() if name not in _OURS}


async def show_plan(view: PageView, place: Place, typed: Typed, deed: Deed) -> Response[str]:
    """The drawer with what would happen, or with why it would not."""
    if place.plan_only_with and not typed.get(place.plan_only_with, [""])[-1]:
        return drawer(view, place, typed)
    try:
        plan = await rehearse(view.scope, deed)
    except Invalid as error:
        return drawer(view, place, typed, errors=errors_by_field(error))
    except Conflict as error:
        return drawer(view, place, typed, refused=error.message)
    return drawer(view, place, typed, plan=plan)


async def do_plan(view: PageView, place: Place, deed: Deed, *, to: str, said: str) -> Response[str]:
    """Carry out what was shown, then see `to`; else the drawer again, and nothing is done. Sent twice it is done once.
    The form was read before."""

    seen = view.typed.get("seen", [""])[-1]

    async def run() -> str:
        await _as_seen(deed, seen)
        return to

    try:
        try:
            to = await once(view, run)
        except PlanChanged:  # it may have waited for another between what it read: worked out anew
            plan = await rehearse(view.scope, deed)
            return drawer(view, place, view.typed, plan=plan.against(seen), stale=True)
    except Invalid as error:
        return drawer(view, place, view.typed, errors=errors_by_field(error))
    except Conflict as error:
        return drawer(view, place, view.typed, refused=error.message)
    return view.go(to, said)


def drawer(
    view: PageView,
    place: Place,
    typed: Typed,
    *,
    plan: ChangePlan | None = None,
    errors: Mapping[str, str] | None = None,
    refused: str = "",
    stale: bool = False,
) -> Response[str]:
    """Into <dialog id="plan">."""
    named = {option.name for option in place.options}
    values = {name: texts[-1] for name, texts in typed.items() if texts}
    return view.drawer(
        "_partials/change.html",
        page_title=place.title,
        back=place.back,
        status=422 if errors else 409 if refused or stale else 200,
        drawer=Drawer(
            place=place,
            hidden=[(name, text) for name, text in values.items() if text and name not in named and name not in _OURS],
            options_open=bool(errors)
            or any(values.get(option.name, "") not in ("", option.value) for option in place.options),
            plan=plan,
            refused=refused,
            stale=stale,
        ),
        values=values,
        errors=errors or {},
    )
