"""mypy checks every call of a hook and what comes back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_wrong_call_of_a_hook_is_found_before_it_runs() -> None:
    command = [sys.executable, "-m", "mypy", "--strict", "--explicit-package-bases", "tests/core/hooks/typed.py"]

    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert (found.stdout.strip(), found.returncode) == ("Success: no issues found in 1 source file", 0)
