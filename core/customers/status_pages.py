"""A plan of a customer's status as its drawer shows it, and the words for reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from core.customers.status import SWITCHES, StatusKind, StatusReason
from core.hooks import Fact
from core.money import format_money
from core.texts import N_, _
from core.web.changes import ChangePlan, PlanLine, PlanPart
from core.web.parts import Choice, Field
from core.web.templating import written

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from core.customers.plans import StatusPlan
    from core.customers.schemas import StatusRow
    from core.customers.statuses import StatusFull, StatusWhy
    from core.hooks import Effect
    from core.scope import Scope

REASONS: Final[dict[str, str]] = {
    StatusReason.HAND: N_("By hand"),
    StatusReason.DUNNING: N_("Dunning: something is overdue"),
    StatusReason.BALANCE: N_("The balance does not cover a renewal"),
    StatusReason.SCHEDULE: N_("Planned for this day"),
    StatusReason.IMPORT: N_("Came with an import"),
}
PARTS: Final = (
    ("when", N_("When")),
    ("document", N_("Documents")),
    ("service", N_("Service")),
    ("money", N_("Money")),
    ("message", N_("Messages")),
)


def status_fields(choices: Sequence[StatusRow], today: date) -> list[Field]:
    return [
        Field(
            name="status",
            label=_("New status"),
            kind="select",
            required=True,
            choices=(Choice("", _("Choose…")), *(Choice(one.key, _(one.label)) for one in choices)),
        ),
        Field(
            name="on",
            label=_("On"),
            kind="date",
            value=today.isoformat(),
            help=_("Today: at once. A later day: when that day begins"),
        ),
        Field(name="reason", label=_("Reason"), wide=True, max_length=500, help=_("Kept in the activity")),
    ]


def change_plan(scope: Scope, plan: StatusPlan, before: StatusFull, after: StatusFull) -> ChangePlan:
    """The plan in the order in which drawers tell: when, documents, service, money, messages, warnings."""
    parts: list[PlanPart] = []
    for kind, title in PARTS:
        lines = [_line(scope, each) for each in plan.effects if each.kind == kind]
        if kind == "when":
            day = written(plan.on, scope.locale)
            begins = _("%(day)s, when the day begins", day=day) if plan.later else _("At once")
            lines.insert(0, PlanLine(text=_("Becomes %(status)s", status=_(plan.to.label)), value=begins))
        if kind == "service":
            lines += _switched(before, after)
        if lines:
            parts.append(PlanPart(title=_(title), lines=lines))
    warnings = [each.text for each in plan.effects if each.kind == "warning"]
    return ChangePlan(
        title=_("%(before)s becomes %(after)s", before=_(plan.from_label), after=_(plan.to.label)),
        button=_button(scope, plan),
        parts=parts,
        warnings=warnings,
        danger=plan.to.kind in (StatusKind.BLOCKED, StatusKind.ENDED),
    )


def _line(scope: Scope, effect: Effect) -> PlanLine:
    amount = ""
    if effect.amount_minor is not None and effect.currency is not None:
        amount = format_money(effect.amount_minor, effect.currency, scope.locale)
    return PlanLine(text=effect.text, value=amount, rests_on=effect.inputs)


def _switched(before: StatusFull, after: StatusFull) -> list[PlanLine]:
    """What the new status does otherwise than the old one."""
    yes, no = _("Yes"), _("No")
    return [
        PlanLine(
            text=_(meaning),
            before=yes if before.switches[name] else no,
            value=yes if after.switches[name] else no,
        )
        for name, (_label, meaning) in SWITCHES.items()
        if before.switches[name] != after.switches[name]
    ]


def _button(scope: Scope, plan: StatusPlan) -> str:
    if plan.later:
        day = written(plan.on, scope.locale, year=False)
        return _("Set %(status)s for %(day)s", status=_(plan.to.label), day=day)
    found = [
        (each.amount_minor, each.currency)
        for each in plan.effects
        if each.kind == "document" and each.amount_minor is not None and each.currency is not None
    ]
    if found:
        minor, currency = max(found)
        amount = format_money(abs(minor), currency, scope.locale)
        if minor < 0:
            return _("Change to %(status)s and credit %(amount)s", status=_(plan.to.label), amount=amount)
        return _("Change to %(status)s and invoice %(amount)s", status=_(plan.to.label), amount=amount)
    return _("Change to %(status)s", status=_(plan.to.label))


def why_facts(why: StatusWhy, by: str, on_behalf_of: str, since: str) -> list[Fact]:
    facts = [Fact(label=_("Reason"), value=_(REASONS[why.reason]))]
    if why.note:
        facts.append(Fact(label=_("Said"), value=why.note))
    if since:
        facts.append(Fact(label=_("Since"), value=since))
    if by:
        facts.append(Fact(label=_("By"), value=by))
    if on_behalf_of:
        facts.append(Fact(label=_("Planned by"), value=on_behalf_of))
    return facts
