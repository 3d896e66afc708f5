"""Imports of customers over JSON, as pages do it: upload a file, read what would come of it, start, follow, undo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from litestar.datastructures import UploadFile
from litestar.params import FromPath, JSONBody, MultipartBody, QueryParameter
from msgspec import Struct

from core.customers import import_work
from core.customers.importing import actions, steps
from core.customers.importing.actions import Mode
from core.customers.importing.files import forget_file
from core.customers.importing.listing import IMPORTS
from core.customers.importing.profiles import Mapping
from core.customers.importing.queries import ImportBatchRow, ImportRow, get_batch
from core.customers.importing.report import Report
from core.customers.importing.status import StepState
from core.customers.importing.steps import StepRow
from core.errors import Conflict, Invalid
from core.hooks import ImportPreview, ImportRefusal, ImportStep
from core.jobs.status import JobState
from core.texts import _
from core.web.jsonapi import Call, Page, api_delete, api_get, api_post, api_put

PERMISSION = "customers.create"
Limit = Annotated[int, QueryParameter(ge=1, le=200, description="Rows of a page")]
Cursor = Annotated[str, QueryParameter(max_length=1000, description="`next` of the page before")]


@dataclass
class Upload:
    """A file of customers, and what is decided about its columns, as JSON."""

    file: UploadFile
    mapping: str = ""


class ImportWork(Struct, frozen=True):
    """The last work on a file: it is checked, taken over or taken back by a job."""

    job_id: int
    state: JobState
    done: int
    total: int
    text: str
    error: str | None = None


class ImportDetail(ImportRow, frozen=True, kw_only=True):
    """With its report: that of the dry run until it is started, then what came of it. Null while it is being read."""

    work: ImportWork | None = None
    report: Report | None = None


class Start(Struct, frozen=True, forbid_unknown_fields=True):
    """What to do with records that are wrong."""

    mode: Mode = "skip-bad"


class StepItem(Struct, frozen=True, kw_only=True):
    """What can be made of an import's records, or was."""

    key: str
    label: str
    text: str
    state: StepState
    choices: dict[str, str]
    left: int
    """Records that nothing was made of yet."""
    taken: int
    refused: int
    """Records that were refused the last time; they are tried again when it is started again."""


class StepDetail(StepItem, frozen=True, kw_only=True):
    """With what it would do, and what there is to choose."""

    preview: ImportPreview
    refusals: list[ImportRefusal]
    """The first hundred."""


class StepChoices(Struct, frozen=True, forbid_unknown_fields=True):
    """By the names of the preview's fields; what is left out keeps its proposal."""

    choices: dict[str, str] = {}


class Discarded(Struct, frozen=True):
    id: int


@api_post(
    "/customer-imports",
    permission=PERMISSION,
    summary="Upload a file of customers",
    description="CSV or XLSX, 30 MB at most. Its records are checked, nothing is imported: follow it until its state is"
    " `checked` and read its report. A file that is here already gives the import that there is.",
    status_code=202,
)
async def upload(call: Call, data: MultipartBody[Upload]) -> ImportDetail:
    if not data.file.filename:
        raise Invalid(_("Choose a file."), field="file")
    mapping = _mapping_of(data.mapping) if data.mapping else None
    batch = await import_work.take_in(call.scope, data.file, mapping)
    return await _detail(call, batch)


def _mapping_of(text: str) -> Mapping:
    try:
        return msgspec.json.decode(text, type=Mapping)
    except (msgspec.MsgspecError, UnicodeEncodeError) as wrong:
        raise Invalid(_("It is not the JSON of a mapping: %(wrong)s", wrong=wrong), field="mapping") from None


@api_get(
    "/customer-imports",
    permission=PERMISSION,
    summary="List imports of customers, the latest first",
    description="Takes the parameters of the page's address: `q`, `sort`, `state`, `by.has`, `begun.from` …",
)
async def list_imports(call: Call, limit: Limit = 50, cursor: Cursor = "") -> Page[ImportRow]:
    return await IMPORTS.api(call, cursor=cursor, limit=limit)


@api_get("/customer-imports/{batch_id:int}", permission=PERMISSION, summary="One import, its progress and its report")
async def get_import(call: Call, batch_id: FromPath[int]) -> ImportDetail:
    return await _detail(call, await get_batch(call.scope, batch_id))


@api_put(
    "/customer-imports/{batch_id:int}/mapping",
    permission=PERMISSION,
    summary="Match columns by hand and check anew",
    status_code=202,
)
async def match(call: Call, batch_id: FromPath[int], data: JSONBody[Mapping]) -> ImportDetail:
    await import_work.match_columns(call.scope, batch_id, data)
    return await _detail(call, await get_batch(call.scope, batch_id))


@api_post(
    "/customer-imports/{batch_id:int}/start",
    permission=PERMISSION,
    summary="Import a file that was checked",
    description="`skip-bad` imports the records that are right, `all` every record or none.",
    status_code=202,
)
async def start(call: Call, batch_id: FromPath[int], data: JSONBody[Start]) -> ImportDetail:
    await import_work.start_import(call.scope, batch_id, data.mode)
    return await _detail(call, await get_batch(call.scope, batch_id))


@api_post(
    "/customer-imports/{batch_id:int}/undo",
    permission=PERMISSION,
    summary="Take the customers of an import away again",
    status_code=202,
)
async def undo(call: Call, batch_id: FromPath[int]) -> ImportDetail:
    await import_work.start_undo(call.scope, batch_id)
    return await _detail(call, await get_batch(call.scope, batch_id))


@api_get(
    "/customer-imports/{batch_id:int}/steps",
    permission=PERMISSION,
    summary="What can be made of an import: opening balances, subscriptions",
)
async def list_steps(call: Call, batch_id: FromPath[int]) -> list[StepItem]:
    batch = await get_batch(call.scope, batch_id)
    return [StepItem(**_step(*each)) for each in await steps.list_steps(call.scope, batch)]


@api_get(
    "/customer-imports/{batch_id:int}/steps/{key:str}",
    permission=PERMISSION,
    summary="One step with what it would do, what there is to choose and what it refused",
)
async def get_step(call: Call, batch_id: FromPath[int], key: FromPath[str]) -> StepDetail:
    return await _step_detail(call, batch_id, key)


@api_put(
    "/customer-imports/{batch_id:int}/steps/{key:str}",
    permission=PERMISSION,
    summary="Keep what is chosen for a step, and see what it would do",
)
async def choose_for_step(
    call: Call, batch_id: FromPath[int], key: FromPath[str], data: JSONBody[StepChoices]
) -> StepDetail:
    await steps.keep_choices(call.scope, batch_id, key, data.choices)
    return await _step_detail(call, batch_id, key)


@api_post(
    "/customer-imports/{batch_id:int}/steps/{key:str}/start",
    permission=PERMISSION,
    summary="Make it: book the balances, make the subscriptions",
    description="Each record once for ever. It needs the step's own permission too. Started again, it tries what was"
    " refused.",
    status_code=202,
)
async def start_step(
    call: Call, batch_id: FromPath[int], key: FromPath[str], data: JSONBody[StepChoices]
) -> ImportDetail:
    await import_work.start_step(call.scope, batch_id, key, data.choices or None)
    return await _detail(call, await get_batch(call.scope, batch_id))


@api_delete("/customer-imports/{batch_id:int}", permission=PERMISSION, summary="Forget a file that was not taken over")
async def discard(call: Call, batch_id: FromPath[int]) -> Discarded:
    batch = await get_batch(call.scope, batch_id)
    if await import_work.working(call.scope, batch) is not None:
        raise Conflict(_("Work on this file is going on. Wait until it is done."))
    await actions.discard_batch(call.scope, batch_id)
    await forget_file(call.scope, batch)
    return Discarded(batch_id)


def _step(step: ImportStep, state: StepRow, left: int) -> dict[str, Any]:
    return {
        "key": step.key,
        "label": step.label,
        "text": step.text,
        "state": state.state,
        "choices": state.chosen(),
        "left": left,
        "taken": state.taken,
        "refused": state.refused,
    }


async def _step_detail(call: Call, batch_id: int, key: str) -> StepDetail:
    batch, step, state, preview = await steps.preview_step(call.scope, batch_id, key)
    refused = await steps.list_refused(call.scope, batch_id, key, limit=100)
    return StepDetail(
        **_step(step, state, await steps.count_left(batch, step)),
        preview=preview,
        refusals=[finding for each in refused for finding in each.findings()],
    )


async def _detail(call: Call, batch: ImportBatchRow) -> ImportDetail:
    job = await import_work.job_of(call.scope, batch)
    return ImportDetail(
        **{name: getattr(batch, name) for name in ImportRow.__struct_fields__},
        work=ImportWork(job.id, job.state, job.progress_done, job.progress_total, job.progress_text, job.error)
        if job is not None
        else None,
        report=batch.told(),
    )


HANDLERS = (
    upload, list_imports, get_import, match, start, undo, list_steps, get_step, choose_for_step, start_step, discard
)  # fmt: skip
