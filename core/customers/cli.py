"""`tenantry import customers FILE`: what it does once the tenant is bound. The host mounts it."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from core.activity.unit import again
from core.customers.importing import actions, steps
from core.customers.importing.actions import Mode
from core.customers.importing.files import count_lines
from core.customers.importing.profiles import Mapping
from core.customers.importing.queries import get_batch
from core.customers.importing.report import Report
from core.customers.jobs import plan_names
from core.errors import Invalid
from core.hooks import ImportPreview, ImportRefusal
from core.money import format_amount
from core.texts import _

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from core.customers.importing.staging import Told
    from core.scope import Scope

SHOWN: Final = 50
"""Errors and warnings of each kind that people are shown; --json has all."""


async def import_customers_command(
    scope: Scope,
    file: Path,
    *,
    mapping: Path | None = None,
    dry_run: bool = False,
    mode: Mode = "skip-bad",
    as_json: bool = False,
) -> Report:
    """Import a file and print the report; the same report comes back. Raises Invalid where the file is no table.

    `--dry-run` writes nothing. `all` imports every record or none; `skip-bad`, the default, those that are right.
    """
    decided = read_mapping(mapping)
    plans = await plan_names()
    if dry_run:
        with _counting(file, "Checking", as_json) as told:
            report = await actions.dry_run(scope, file, decided, plans=plans, told=told)
        report.mode = mode
    else:
        with _counting(file, "Checking", as_json) as told:
            report = await actions.stage_import(scope, file, decided, plans=plans, told=told)
        if report.batch is not None and not report.already:
            batch_id = report.batch
            with _progress("Importing", as_json) as bar:
                task = bar.add_task("Importing", total=report.ok)

                async def progress(done: int, total: int, text: str) -> None:
                    bar.update(task, completed=done, total=total, description=text)

                report = await again(lambda: actions.take_over(scope, batch_id, mode=mode, progress=progress))
    if as_json:
        sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    else:
        show(report, Console())
    return report


def counted(number: int, what: str) -> str:
    """“1 customer”, “2 customers”: commands speak English alone."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


class StepReport(Struct, frozen=True, kw_only=True):
    """What a step did with an import's records, or would do."""

    batch: int
    step: str
    state: str
    preview: ImportPreview | None = None
    taken: int = 0
    refused: int = 0
    refusals: list[ImportRefusal] = []


async def import_step_command(
    scope: Scope, batch_id: int, key: str, choices: Sequence[str], *, preview: bool = False, as_json: bool = False
) -> StepReport:
    """Make something of an import's records (`openings`, `subscriptions`), or say what would be made. What was broken
    off goes on, what was refused is tried again.
    """
    chosen = dict(_choice(text) for text in choices) or None
    known = [step.key for step in await steps.find_steps(scope, await get_batch(scope, batch_id))]
    if known and key not in known:
        raise Invalid(_("No step is called so. This import has: %(steps)s.", steps=", ".join(known)), field="step")
    batch, step, state, told = await steps.preview_step(scope, batch_id, key, chosen)
    if preview:
        report = StepReport(batch=batch.id, step=key, state=state.state, preview=told)
    else:
        await again(lambda: steps.begin_step(scope, batch_id, key, chosen))
        with _progress(step.label, as_json) as bar:
            task = bar.add_task(step.label, total=None)

            async def progress(done: int, total: int, text: str) -> None:
                bar.update(task, completed=done, total=total, description=text)

            state = await again(lambda: steps.take_step(scope, batch_id, key, progress=progress))
        refusals = [
            finding
            for each in await steps.list_refused(scope, batch_id, key, limit=5_000)
            for finding in each.findings()
        ]
        report = StepReport(
            batch=batch.id, step=key, state=state.state, taken=state.taken, refused=state.refused, refusals=refusals
        )
    if as_json:
        sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    else:
        show_step(report, step.label, Console())
    return report


def _choice(text: str) -> tuple[str, str]:
    name, sign, chosen = text.partition("=")
    if not sign:
        raise Invalid(
            _("“%(text)s” is no choice. Write name=value, such as due_on=2026-12-31.", text=text), field="--choose"
        )
    return name.strip(), chosen.strip()


def show_step(report: StepReport, label: str, console: Console) -> None:
    """The same for people."""
    if report.preview is not None:
        table = Table("what", "records", "sum", "", box=None, header_style="bold", pad_edge=False)
        for line in report.preview.lines:
            amount = f"{format_amount(line.amount_minor, line.currency)} {line.currency}" if line.amount_minor else ""
            table.add_row(line.text, f"{line.count:,}", amount, line.detail)
        console.print(table, markup=False)
        for each in report.preview.fields:
            console.print(f"· {each.name}={each.value}  {each.error}", highlight=False, markup=False)
    for refusal in (report.preview.refusals if report.preview else report.refusals)[:SHOWN]:
        console.print(f"record {refusal.record}: {refusal.message} {refusal.value}", highlight=False, markup=False)
    if report.preview is not None:
        refused = report.preview.refused
        ready = f"{counted(report.preview.ready, 'record')} {'is' if report.preview.ready == 1 else 'are'} ready"
        told = f"{ready}, {refused:,} would be refused. Nothing was written."
    else:
        told = f"{counted(report.taken, 'record')} done, {report.refused:,} refused."
    console.print(f"\n{label}: {told}", style="bold", highlight=False)


def read_mapping(path: Path | None) -> Mapping:
    """What a person decided about the file, as JSON: {"columns": {"Memo": "note", "Fax": null}, "country": "AT"}."""
    if path is None:
        return Mapping()
    try:
        return msgspec.json.decode(path.read_bytes(), type=Mapping)
    except OSError as fault:
        raise Invalid(
            _("%(path)s cannot be read: %(fault)s.", path=path, fault=fault.strerror), field="--mapping"
        ) from fault
    except msgspec.MsgspecError as fault:
        raise Invalid(_("%(path)s is no mapping: %(fault)s", path=path, fault=fault), field="--mapping") from fault


@contextmanager
def _counting(file: Path, what: str, silent: bool) -> Iterator[Told]:
    with _progress(what, silent) as bar:
        task = bar.add_task(what, total=None)

        async def told(records: int) -> None:
            if bar.tasks[0].total is None:
                bar.update(task, total=max(await count_lines(file), records))
            bar.update(task, completed=records)

        yield told


@contextmanager
def _progress(what: str, silent: bool) -> Iterator[Progress]:
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn())
    silent = silent or not sys.stderr.isatty()
    with Progress(*columns, console=Console(stderr=True), disable=silent, transient=True) as bar:
        yield bar


def show(report: Report, console: Console) -> None:
    """The report for people."""
    how = ", ".join(
        filter(None, (report.encoding, f"delimiter “{report.delimiter}”" if report.delimiter else "", report.sheet))
    )
    console.print(f"{report.file}: {report.format}, {how}, header in line {report.header_line}", highlight=False)
    for title, findings, total in (
        ("error", report.errors, report.errors_total),
        ("warning", report.warnings, report.warnings_total),
    ):
        if not findings:
            continue
        table = Table("record", "line", "column", "customer", "what", box=None, header_style="bold", pad_edge=False)
        for found in findings[:SHOWN]:
            table.add_row(str(found.record), str(found.line), found.field, found.name, found.message)
        console.print(f"\n{counted(total, title)}" + (f", the first {SHOWN}" if total > SHOWN else ""), style="bold")
        console.print(table, markup=False)
    for note in report.notes:
        console.print(f"· {note}", highlight=False, markup=False)
    console.print(f"\n{_summary(report)}", style="bold", highlight=False)


def _summary(report: Report) -> str:
    read = f"{counted(report.records, 'record')}, {report.ok:,} right, {report.refused:,} refused"
    if report.dry_run:
        return f"{read}. Nothing was written: this was a dry run."
    if report.already:
        return (
            f"This file was imported before, as import {report.batch}: {counted(report.imported, 'customer')}."
            " Nothing was done."
        )
    made = f"{counted(report.imported, 'customer')} {'was' if report.imported == 1 else 'were'} made"
    return f"{read}. {made} (import {report.batch})."
