"""Plans of change: what will happen is shown before it is done, and exactly that is done.

A plan is worked out by the deed itself, in a unit of work that is taken back. The act runs the deed again and looks,
before it commits, whether it came out as it was shown: if not, it is taken back too, and the new plan is shown with
what has changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from core.activity.unit import again, unit_of_work
from core.errors import Conflict
from core.web.parts import Field

if TYPE_CHECKING:
    from core.scope import Scope


class PlanLine(Struct, frozen=True, kw_only=True):
    """What, with its value at the right; `before` is what it is now. `tone`: owes, plus."""

    text: str
    detail: str = ""
    value: str = ""
    before: str = ""
    tone: str = ""
    changed: bool = False

    @property
    def mark(self) -> str:
        """The same for two lines exactly when they say the same."""
        said = "\n".join((self.text, self.detail, self.value, self.before))
        return hashlib.sha256(said.encode()).hexdigest()[:16]


class PlanPart(Struct, frozen=True, kw_only=True):
    """Lines under a heading: Documents, Service, Money, Messages."""

    title: str
    lines: Sequence[PlanLine]
    note: str = ""
    total: PlanLine | None = None


class ChangePlan(Struct, frozen=True, kw_only=True):
    """What the drawer shows. `button` names the deed with its amount: "Upgrade and invoice €4.00"."""

    title: str
    button: str
    parts: Sequence[PlanPart] = ()
    warnings: Sequence[str] = ()
    danger: bool = False
    keep: str = "Leave as it is"

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


class Drawer(Struct, frozen=True, kw_only=True):
    """The drawer around a plan: where it is worked out again, where it is carried out, what goes with it.

    `options` are fields that change the plan; `hidden` goes along unseen.
    """

    title: str
    at: str
    action: str
    hidden: Sequence[tuple[str, str]] = ()
    options: Sequence[Field] = ()
    options_title: str = ""
    """Where it is given the options stand folded under it, until one of them is used."""
    options_open: bool = False
    plan: ChangePlan | None = None
    refused: str = ""
    stale: bool = False


class PlanChanged(Conflict):
    """Something came between the plan and the act. `plan` is the new one."""

    def __init__(self, plan: ChangePlan) -> None:
        super().__init__("Something has changed since this was worked out. Look at the marked lines.")
        self.plan = plan


class _TakenBack(Exception):
    """Ends the unit of work of a rehearsal."""


Deed = Callable[[], Awaitable[ChangePlan]]
"""Does it, inside the unit of work that is open, and says what it did."""


async def rehearse(scope: Scope, deed: Deed) -> ChangePlan:
    """What the deed would do. Nothing of it stays."""

    async def run() -> ChangePlan:
        plans: list[ChangePlan] = []
        try:
            async with unit_of_work(scope):
                plans.append(await deed())
                raise _TakenBack
        except _TakenBack:
            return plans[0]

    return await again(run)


async def carry_out(scope: Scope, deed: Deed, seen: str) -> ChangePlan:
    """Do it, if it comes out as it was shown. Raises PlanChanged, and nothing is done, where it does not."""

    async def run() -> ChangePlan:
        async with unit_of_work(scope):
            plan = await deed()
            if plan.seen != seen:
                raise PlanChanged(plan.against(seen))
        return plan

    return await again(run)
