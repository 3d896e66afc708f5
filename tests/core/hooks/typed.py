"""Never run: mypy must accept the first function as it is, and find a fault in each line of the second."""

from __future__ import annotations

from collections.abc import Sequence

from core.hooks import Answer, Hooks, Tab
from tests.core.hooks import modules


async def right(hooks: Hooks) -> None:
    tabs: list[Answer[Sequence[Tab]]] = await hooks.ask(modules.customer_tabs, scope="s", customer_id=1)
    names: dict[str, dict[int, str]] = hooks.collect(modules.collect_names, ids=[1])
    steps: dict[str, list[str]] = await hooks.plan(modules.plan_move, 1)
    rate: int | None = await hooks.first(modules.choose_rate, country="DE")
    await hooks.validate(modules.validate_move, "s", customer_id=1)
    await hooks.tell("a", modules.customer_moved, scope="s", events=[1])
    print(tabs, names, steps, rate)


async def wrong(hooks: Hooks) -> None:
    await hooks.ask(modules.customer_tabs, scope="s", customer=1)  # type: ignore[call-arg]  # no such argument
    await hooks.ask(modules.customer_tabs, scope="s", customer_id="1")  # type: ignore[arg-type]  # an id is a number
    await hooks.ask(modules.collect_names, ids=[1])  # type: ignore[arg-type]  # a plain hook is collected
    hooks.collect(modules.collect_names)  # type: ignore[call-arg]  # an argument is missing
    await hooks.validate(modules.customer_tabs, scope="s", customer_id=1)  # type: ignore[arg-type]  # it answers
    await hooks.tell("a", modules.customer_moved, scope="s")  # type: ignore[call-arg]  # nothing to tell
    await hooks.first(modules.plan_move, customer_id="1")  # type: ignore[arg-type]  # an id is a number
    names: list[str] = hooks.collect(modules.collect_names, ids=[1])  # type: ignore[assignment]  # by plugin
    print(names)
