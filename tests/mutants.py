"""Are the tests of money worth anything? Small faults are put into a module, one at a time; a test must notice each.

    nice .venv/bin/python -m tests.mutants money              # all faults of a part
    nice .venv/bin/python -m tests.mutants tax --line 240     # those of one line, with what is put there

A mutant changes one sign, number, word or statement, of the Python or of the SQL that stands in its strings (which
tools made for Python leave alone). The tests of a part are collected and run once; then each mutant is tried in a fork
of that process: its code is swapped into the modules that are loaded, and the tests run until one fails, those that
found the last mutants first.
"""

from __future__ import annotations

import argparse
import ast
import io
import os
import re
import resource
import select
import signal
import sys
import time
import tokenize
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from importlib import import_module
from inspect import unwrap
from itertools import accumulate, count
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, Final, NamedTuple

import pytest
from hypothesis import Phase, settings

from core.database.threads import THREADS
from tests import databases

CPU_SECONDS: Final = 20
"""A mutant that takes so much more than four times what the tests take goes round in circles: that is noticed too."""
WALL_SECONDS: Final = 20
"""So much more than four times what the tests take without a mutant: then it is ended, whatever it waits for."""


@dataclass(frozen=True)
class Part:
    """A module, which of its functions and constants count (none named: all), and the tests of it."""

    module: str
    tests: tuple[str, ...]
    only: frozenset[str] = field(default_factory=frozenset)


_LEDGER: Final = "tests/core/ledger"
_STORIES: Final = "tests/stories"
PARTS: Final = {
    "money": Part("core.money", ("tests/core/test_money.py",)),
    "periods": Part("core.periods", ("tests/core/test_periods.py",)),
    "posting": Part("core.ledger.posting", (f"{_LEDGER}/test_posting.py", f"{_LEDGER}/test_days.py")),
    "days": Part("core.ledger.days", (f"{_LEDGER}/test_days.py",)),
    "booked": Part(
        "core.ledger.queries",
        (f"{_LEDGER}/test_days.py", f"{_LEDGER}/test_posting.py"),
        frozenset({"BOOKED", "booked", "trial_balance", "list_balances", "get_balance", "postings_of"}),
    ),
    "fx": Part("core.ledger.fx", (f"{_LEDGER}/test_fx.py", f"{_STORIES}/test_price_rates.py")),
    "closing": Part("core.ledger.books", (f"{_LEDGER}/test_books.py", f"{_STORIES}/test_recognition.py")),
    "numbering": Part(
        "core.billing.numbering", ("tests/core/billing/test_numbering.py", f"{_STORIES}/test_plans_and_numbers.py")
    ),
    "part-periods": Part(
        "core.billing.part_periods",
        ("tests/core/billing/test_part_periods.py", f"{_STORIES}/test_part_periods_on_papers.py"),
    ),
    "tax": Part(
        "core.billing.plan",
        (
            "tests/core/billing/test_shares.py",
            *(f"{_STORIES}/test_{name}.py" for name in ("taxes", "currencies", "parking")),
        ),
        frozenset(
            {"stage_lines", "COUNTS", "PARK_PROBLEMS", "PARK_NEGATIVE", "TAXES", "BY_LINE", "SHARES", "documents"}
            | {"work_out", "_foreign", "_park_without_rate", "convert_documents"}
        ),
    ),
    "relief": Part("core.billing.actions.relief", (f"{_STORIES}/test_relief.py", f"{_STORIES}/test_money_by_hand.py")),
    "tax-report": Part("core.reports.taxes", ("tests/core/reports/test_books.py",)),
}


class Mutant(NamedTuple):
    line: int
    owner: str
    told: str
    source: str


# ------------------------------------------------------------------ making mutants

_PYTHON: Final[dict[type[ast.AST], str]] = {
    ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">", ast.Eq: "!=", ast.NotEq: "==", ast.Is: "is not",
    ast.IsNot: "is", ast.In: "not in", ast.NotIn: "in", ast.Add: "-", ast.Sub: "+", ast.Mult: "//",
    ast.FloorDiv: "*", ast.Mod: "*", ast.Pow: "*", ast.And: "or", ast.Or: "and",
}  # fmt: skip
_WORDS: Final = {"min": "max", "max": "min", "any": "all", "all": "any", "True": "False", "False": "True"}
_IS_SQL: Final = re.compile(r"\b(SELECT|INSERT INTO|UPDATE|DELETE FROM|WHERE|CASE|WHEN|ELSE|THEN|FROM|AND|GROUP BY)\b")
_COMPARED: Final = re.compile(r"\b(WHERE|AND|OR|ON|WHEN|HAVING|NOT|SELECT|CASE)\b|\bSET\b|,")
_SQL: Final = (
    (r" <= ", " < "), (r" >= ", " > "), (r" < ", " <= "), (r" > ", " >= "), (r" <> ", " = "),
    (r" = ", " <> "), (r" \+ ", " - "), (r" - ", " + "), (r" \* ", " + "), (r" / ", " * "),
    (r" % ", " / "), (r"(?<=[ (])-(?=[a-z{(])", ""), (r"\bAND\b", "OR"), (r"\bOR\b", "AND"),
    (r"\bNOT (?!NULL|MATERIALIZED)", ""), (r"\bIS NULL\b", "IS NOT NULL"), (r"\bIS NOT NULL\b", "IS NULL"),
    (r"\bmin\(", "max("), (r"\bmax\(", "min("), (r"\bsum\(", "max("), (r" DESC\b", ""),
    (r"\bDISTINCT ", ""), (r"\bLEFT JOIN\b", "JOIN"), (r"\bUNION ALL\b", "UNION"),
    (r"\bTRUE\b", "FALSE"), (r"\bFALSE\b", "TRUE"),
    (r"(?<![\w'.:-])\d+(?![\w'.-])", None), (r" NOT BETWEEN ", " BETWEEN "),
)  # fmt: skip


def mutants_of(text: str, only: frozenset[str]) -> Iterator[Mutant]:
    """Every small fault of a module, in the order of its lines."""
    tree = ast.parse(text)
    raw = text.encode()
    lines = raw.splitlines(keepends=True)
    starts = [0, *accumulate(map(len, lines))]
    owners = [
        (top.lineno, top.end_lineno or top.lineno, name)
        for top in tree.body
        for name in _names_of(top)
        if not only or name in only
    ]
    found = [*_of_python(tree, raw, starts), *_of_sql(tree, text, starts)]
    for begin, end, new in sorted(set(found)):
        line = next(n for n in range(len(starts) - 1, -1, -1) if starts[n] <= begin) + 1
        owner = next((name for first, last, name in owners if first <= line <= last), None)
        if owner is None:
            continue
        made = (raw[:begin] + new.encode() + raw[end:]).decode()
        old = raw[begin:end].decode()
        around = lines[line - 1].decode().strip()
        yield Mutant(line, owner, f"{' '.join(old.split())[:50]!r} → {new[:50]!r} in {around[:100]}", made)


def _names_of(top: ast.stmt) -> list[str]:
    if isinstance(top, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [top.name]
    if isinstance(top, ast.AnnAssign | ast.Assign):
        targets = top.targets if isinstance(top, ast.Assign) else [top.target]
        return [target.id for target in targets if isinstance(target, ast.Name)]
    return []


def _of_python(tree: ast.Module, raw: bytes, starts: list[int]) -> Iterator[tuple[int, int, str]]:
    def at(node: ast.AST) -> tuple[int, int]:
        place: Any = node
        return starts[place.lineno - 1] + place.col_offset, starts[place.end_lineno - 1] + place.end_col_offset

    def between(before: ast.AST, behind: ast.AST, new: str) -> Iterator[tuple[int, int, str]]:
        first, last = at(before)[1], at(behind)[0]
        sign = re.search(rb"not in|is not|<=|>=|==|!=|//|\*\*|[-+*/%<>]|\b(?:and|or|in|is)\b", raw[first:last])
        if sign:
            yield first + sign.start(), first + sign.end(), new

    def visit(node: ast.AST) -> Iterator[tuple[int, int, str]]:
        match node:
            case ast.JoinedStr() | ast.Raise() | ast.Assert():
                if isinstance(node, ast.Raise):
                    yield (*at(node), "pass")
                return
            case ast.Call(func=ast.Name(id="_" | "N_" | "ngettext")):
                return
            case ast.AnnAssign() | ast.Assign() if node.value is not None:
                yield from visit(node.value)
                return
            case ast.ClassDef():
                for method in node.body:
                    if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef):
                        yield from visit(method)
                return
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                for default in (*node.args.defaults, *filter(None, node.args.kw_defaults)):
                    yield from visit(default)
                for statement in node.body:
                    yield from visit(statement)
                return
            case ast.Compare(ops=ops):
                sides = [node.left, *node.comparators]
                for n, sign in enumerate(ops):
                    yield from between(sides[n], sides[n + 1], _PYTHON[type(sign)])
            case ast.BinOp() if type(node.op) in _PYTHON and not _is_text(node.left) and not _is_text(node.right):
                yield from between(node.left, node.right, _PYTHON[type(node.op)])
            case ast.BoolOp():
                for one, other in zip(node.values, node.values[1:], strict=False):
                    yield from between(one, other, _PYTHON[type(node.op)])
            case ast.UnaryOp(op=ast.USub() | ast.Not()):
                begin, end = at(node)
                yield begin, end, raw[at(node.operand)[0] : end].decode()
            case ast.AugAssign(op=ast.Add()):
                yield from between(node.target, node.value, "-")
            case ast.Constant(value=bool()):
                yield (*at(node), str(not node.value))
            case ast.Constant(value=int(number)):
                yield (*at(node), str(number + 1))
            case ast.Name(id=name) if name in _WORDS:
                yield (*at(node), _WORDS[name])
            case ast.If() | ast.IfExp():
                yield (*at(node.test), "True")
                yield (*at(node.test), "False")
            case ast.Expr(value=ast.Call() | ast.Await()):
                yield (*at(node), "pass")
            case ast.Return(value=value) if value is not None and not (isinstance(value, ast.Constant)):
                yield (*at(value), "None")
            case _:
                pass
        for child in ast.iter_child_nodes(node):
            yield from visit(child)

    for top in tree.body:
        if not isinstance(top, ast.If):
            yield from visit(top)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _of_sql(tree: ast.Module, text: str, starts: list[int]) -> Iterator[tuple[int, int, str]]:
    said = {
        node.body[0].value.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and isinstance(node.body[0], ast.Expr)
        and isinstance(node.body[0].value, ast.Constant)
    }
    said |= {node.lineno for node in tree.body if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)}
    text_lines = text.splitlines(keepends=True)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type != tokenize.STRING or token.start[0] in said or not _IS_SQL.search(token.string):
            continue
        begin = starts[token.start[0] - 1] + len(text_lines[token.start[0] - 1][: token.start[1]].encode())
        bare = token.string
        if "f" in bare[:2]:
            bare = re.sub(r"\{[^{}]*\}", lambda found: "\0" * len(found[0]), bare)
        for pattern, new in _SQL:
            for found in re.finditer(pattern, bare):
                if found[0] == " = " and not _compares(bare[: found.start()]):
                    continue
                if found[0] == "AND" and re.search(r"BETWEEN \S+ $", bare[: found.start()]):
                    continue
                place = begin + len(token.string[: found.start()].encode())
                changed = str(int(found[0]) + 1) if new is None else new
                yield place, place + len(found[0].encode()), changed


def _compares(before: str) -> bool:
    """An equals sign there asks; behind SET it gives."""
    words = [found[0] for found in _COMPARED.finditer(before)]
    return bool(words) and words[-1] not in ("SET", ",")


# ------------------------------------------------------------------ trying them


def swap(module: ModuleType, source: str) -> None:
    """Put the code and the constants of another source into a module that is loaded and used by others."""
    fresh = ModuleType(module.__name__)
    fresh.__file__ = module.__file__
    exec(compile(source, str(module.__file__), "exec"), fresh.__dict__)  # noqa: S102 - our own source, one sign changed
    for name, new in vars(fresh).items():
        old = vars(module).get(name)
        if name.startswith("__") or old is new:
            continue
        if isinstance(new, type):
            if new.__module__ == module.__name__:
                for part, of_class in vars(new).items():
                    _swap_function(vars(old).get(part), of_class)
        elif callable(new):
            _swap_function(old, new)
        elif isinstance(new, str | int | tuple | frozenset | dict | timedelta) and new != old:
            for other in list(sys.modules.values()):
                if vars(other).get(name) is old:
                    setattr(other, name, new)


def _swap_function(old: Any, new: Any) -> None:
    for kind, inside in ((property, "fget"), (classmethod, "__func__"), (staticmethod, "__func__")):
        if isinstance(new, kind):
            old, new = getattr(old, inside), getattr(new, inside)
    if hasattr(old, "cache_clear"):
        old.cache_clear()
    old, new = (unwrap(each) if callable(each) else each for each in (old, new))
    if isinstance(old, FunctionType) and isinstance(new, FunctionType):
        old.__code__, old.__defaults__, old.__kwdefaults__ = new.__code__, new.__defaults__, new.__kwdefaults__


def _as_the_parent() -> None:
    """In a fork: threads are started anew, and the databases of the parent are used."""
    parent = os.getppid()
    os.getpid = lambda: parent
    THREADS.__init__()  # type: ignore[misc]  # the threads of the parent are not here
    databases._number = count(time.time_ns())


class Trial:
    """A plugin of pytest: runs what was collected once, and then again for each mutant, in forks."""

    def __init__(self, part: Part, chosen: Callable[[Mutant], bool]) -> None:
        self.part, self.chosen = part, chosen
        self.failed, self.said = "", ""
        self.killed = 0
        self.seconds: dict[str, float] = {}
        self.most_seconds, self.most_cpu = 0.0, 0
        self.survived: list[Mutant] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + report.duration
        if report.failed:
            self.failed = report.nodeid
            self.said = report.longreprtext

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        module = import_module(self.part.module)
        text = Path(str(module.__file__)).read_text()
        items = list(session.items)
        begun, used = time.monotonic(), time.process_time()
        self._run(session, items)
        self.most_seconds = WALL_SECONDS + 4 * (time.monotonic() - begun)
        self.most_cpu = CPU_SECONDS + int(4 * (time.process_time() - used))
        if self.failed:
            print(f"{self.failed} fails without a mutant:\n{self.said}", flush=True)
            raise session.Failed(self.failed)
        items.sort(key=lambda item: self.seconds[item.nodeid])
        for each in filter(self.chosen, mutants_of(text, self.part.only)):
            killer = self._try(session, items, module, each)
            if killer is None:
                self.survived.append(each)
                print(f"SURVIVED {each.line} {each.owner}: {each.told}", flush=True)
            else:
                self.killed += 1
                if self.killed % 20 == 0:
                    print(f"... {self.killed} noticed", flush=True)
                if killer >= 0:
                    items.insert(0, items.pop(killer))
        return True

    def _run(self, session: pytest.Session, items: list[pytest.Item]) -> int | None:
        for n, item in enumerate(items):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
            if self.failed:
                return n
            again = getattr(item, "_initrequest", None)
            if again:
                again()
        return None

    def _try(self, session: pytest.Session, items: list[pytest.Item], module: ModuleType, one: Mutant) -> int | None:
        """Which test noticed it; -1 where the mutant did not load or took too long, None where nobody noticed."""
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            code = b"-1"
            try:
                os.setsid()
                resource.setrlimit(resource.RLIMIT_CPU, (self.most_cpu, self.most_cpu))
                signal.signal(signal.SIGXCPU, signal.SIG_DFL)
                _as_the_parent()
                swap(module, one.source)
                code = repr(self._run(session, items)).encode()
            finally:
                os.write(writing, code)
                os._exit(0)
        os.close(writing)
        with os.fdopen(reading, "rb") as answer:
            in_time, _, _ = select.select([answer], [], [], self.most_seconds)
            told = answer.read(20) if in_time else b""
        if not told:
            print(f"TOO LONG {one.line} {one.owner}: {one.told}", flush=True)
        with suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return None if told == b"None" else int(told or b"-1")


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.mutants", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("part", choices=sorted(PARTS))
    parser.add_argument("--line", type=int, action="append", help="only mutants of this line")
    parser.add_argument("--every", type=int, default=1, help="only each so many-th mutant: a sample")
    parser.add_argument("--list", action="store_true", help="say what would be tried")
    parser.add_argument("-k", default="", help="only these tests, as pytest's -k")
    parser.add_argument("tests", nargs="*", help="tests instead of the part's own")
    given = parser.parse_args()
    part = PARTS[given.part]

    numbers = count()

    def chosen(one: Mutant) -> bool:
        return (not given.line or one.line in given.line) and next(numbers) % given.every == 0

    if given.list:
        source = Path(part.module.replace(".", "/") + ".py").read_text()
        for each in mutants_of(source, part.only):
            if chosen(each):
                print(f"{each.line} {each.owner}: {each.told}")
        return
    settings.register_profile("mutants", derandomize=True, database=None, phases=(Phase.explicit, Phase.generate))
    settings.load_profile("mutants")
    trial = Trial(part, chosen)
    arguments = ["-o", "addopts=--import-mode=importlib -m 'not slow'", "-p", "no:terminal", "-p", "no:cacheprovider"]
    arguments += ["-n0", "--assert=plain"]
    result = pytest.main([*arguments, "-k", given.k, *(given.tests or part.tests)], plugins=[trial])
    if result not in (0, 1):
        raise SystemExit(f"the tests did not run: {result}")
    tried = trial.killed + len(trial.survived)
    print(f"{part.module}: {tried} mutants, {trial.killed} noticed, {len(trial.survived)} not")


if __name__ == "__main__":
    main()
