"""The form in which measurements are given."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from bench.harness import Row, at_least_share, at_most, percentile, show

if TYPE_CHECKING:
    from _pytest.capture import CaptureFixture


def test_a_measurement_is_one_json_object_with_its_machine(capsys: CaptureFixture[str]) -> None:
    show("engine", [at_most("a look-up", "sqlite", 0.2, "ms", 0.25)], json=True)

    given = json.loads(capsys.readouterr().out)
    assert given["bench"] == "engine"
    assert {"cores", "memory_gib", "python"} <= given["machine"].keys()
    assert given["rows"] == [
        {
            "what": "a look-up",
            "database": "sqlite",
            "value": 0.2,
            "unit": "ms",
            "anchor": None,
            "goal": "≤ 0.25 ms",
            "holds": True,
        }
    ]


def test_a_rate_is_held_against_its_anchor() -> None:
    assert at_least_share("billing", "sqlite", 41.0, "rows/s", 100.0, 0.4).holds is True
    assert at_least_share("billing", "sqlite", 39.0, "rows/s", 100.0, 0.4).holds is False
    assert Row("size", "sqlite", 1.0, "MiB").holds is None


@pytest.mark.parametrize(("percent", "expected"), [(50, 50), (99, 99), (100, 100), (1, 1)])
def test_a_percentile_is_the_nearest_rank(percent: int, expected: int) -> None:
    assert percentile(list(range(100, 0, -1)), percent) == expected
