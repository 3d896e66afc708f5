"""What a start loads, and what becomes of it."""

import gc
import json
import subprocess
import sys

from tenants.loading import loading

NOT_AT_ONCE = ("black", "markdown_it", "webauthn", "weasyprint")
"""Each takes a twentieth of a start and is needed by few pages or by none."""


def test_a_start_does_not_load_what_few_pages_need() -> None:
    code = f"import json, sys, tenants.cli; print(json.dumps([name for name in {NOT_AT_ONCE} if name in sys.modules]))"
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert json.loads(told.stdout) == []


def test_what_is_loaded_is_not_looked_through_again() -> None:
    assert gc.isenabled()
    try:
        before = gc.get_freeze_count()
        with loading():
            assert not gc.isenabled()
            kept = [{"a": [number]} for number in range(1000)]
        assert gc.get_freeze_count() - before >= len(kept)
        assert gc.isenabled()
    finally:
        gc.unfreeze()


def test_the_collector_is_back_also_where_loading_failed() -> None:
    try:
        with loading():
            raise ImportError
    except ImportError:
        assert gc.isenabled()
    finally:
        gc.unfreeze()
