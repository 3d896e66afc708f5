"""The wheel: what a machine gets that has no clone, no Node and no npm."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]


def test_the_wheel_holds_the_pages_and_all_that_they_load(tmp_path: Path) -> None:
    # hatchling's own command has no folder to choose, its back end has one
    build = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", build, str(tmp_path)], cwd=ROOT, check=True, capture_output=True)

    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
        entry_points = wheel.read(next(name for name in names if name.endswith("entry_points.txt"))).decode()
    assert {"core/web/icons.txt", "core/web/static/icons.svg", "core/web/static/manifest.json"} <= names
    assert {"core/web/static/vendor/htmx/htmx.min.js", "core/web/static/vendor/THIRD-PARTY.txt"} <= names
    assert "tenantry = tenants.loading:main" in entry_points
    for pattern in ("*.py", "*.html", "*.css", "*.js", "*.sql"):
        ours = {
            file.relative_to(ROOT).as_posix()
            for top in ("core", "plugins", "tenants")
            for file in (ROOT / top).rglob(pattern)
        }
        assert ours - names == set()
    assert {name.split("/")[0] for name in names if "dist-info" not in name} == {"core", "plugins", "tenants"}
