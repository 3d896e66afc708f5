"""What pages load: copied by name from the npm packages at set-up, found by name and content at run time.

`python -m core.web.assets` copies what COPIED names into static/vendor, draws the icons that templates, scripts and
manifests name into one static/icons.svg, and writes down every file with its hash. `load_manifest()` reads that at the
start and refuses to start with a file missing or changed. An address holds the hash of what stands behind it
(`/static/3f2a…/tenantry.css`), so browsers keep it for good; the files of one package share one, so that a style sheet
finds its fonts beside it. What a plugin has in its folder static/ stands there as `plugins/NAME/…`.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import shutil
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

ROOT: Final = Path(__file__).resolve().parents[2]
STATIC: Final = Path(__file__).resolve().parent / "static"
MANIFEST: Final = STATIC / "manifest.json"
BASE_ICONS: Final = Path(__file__).resolve().parent / "icons.txt"
NAMED_IN: Final = ("core", "plugins", "tenants")

# Place below static/vendor: files of the npm package (a pattern may stand for several).
COPIED: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "chart": ("chart.js", ("dist/chart.umd.min.js",)),
    "htmx": ("htmx.org", ("dist/htmx.min.js", "dist/ext/hx-sse.min.js")),
    "inter": ("@fontsource-variable/inter", ("wght.css", "files/inter-*-wght-normal.woff2")),
    # documents: WeasyPrint embeds a static weight as it is
    "inter-static": ("@fontsource/inter", ("files/inter-*-400-normal.woff2", "files/inter-*-700-normal.woff2")),
    "sortable": ("sortablejs", ("Sortable.min.js",)),
    "tabler": ("@tabler/core", ("dist/css/tabler.min.css",)),
    "tinykeys": ("tinykeys", ("dist/tinykeys.mjs",)),
    "tom-select": ("tom-select", ("dist/js/tom-select.popular.min.js", "dist/css/tom-select.bootstrap5.min.css")),
    "zxing": ("@zxing/library", ("umd/index.min.js",)),
}
ICONS: Final = "@tabler/icons"
OF_PLUGINS: Final = "plugins"
"""No folder below static/ is called so."""

MEDIA_TYPES: Final = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".txt": "text/plain",
    ".woff2": "font/woff2",
}
PACKED: Final = frozenset({".css", ".js", ".mjs", ".svg", ".txt"})


class MissingAsset(Exception):
    """A file that pages load is not there, or is not the one that was set up."""


@dataclass(frozen=True)
class Asset:
    """A file as it is served."""

    path: Path
    version: str

    @property
    def media_type(self) -> str:
        return MEDIA_TYPES[self.path.suffix]

    @cached_property
    def body(self) -> bytes:
        return self.path.read_bytes()

    @cached_property
    def gzipped(self) -> bytes | None:
        """The body packed, where that makes it smaller; packed once, when first asked for."""
        return gzip.compress(self.body, 6, mtime=0) if self.path.suffix in PACKED else None


class Assets:
    """Everything that may be asked for below /static/."""

    def __init__(self, files: Mapping[str, Asset]) -> None:
        self._files = dict(files)

    def __call__(self, name: str) -> str:
        """Address of a file: `asset("tenantry.css")` in templates."""
        return f"/static/{self._asset(name).version}/{name}"

    def path(self, name: str) -> Path:
        """Where the file lies, for what reads it without a browser."""
        return self._asset(name).path

    def find(self, version: str, name: str) -> tuple[Asset, bool] | None:
        """The file, and whether a browser may keep it for good: not when a page of another release asks for it."""
        asset = self._files.get(name)
        return None if asset is None else (asset, asset.version == version)

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self._files)

    @cached_property
    def icons(self) -> frozenset[str]:
        """Names that `m.icon()` can draw."""
        return frozenset(re.findall(r'<symbol id="([^"]+)"', self._asset("icons.svg").body.decode()))

    def _asset(self, name: str) -> Asset:
        try:
            return self._files[name]
        except KeyError:
            raise MissingAsset(f"There is no static file {name}. If it is new, start ./run again.") from None


def load_manifest(path: Path = MANIFEST, plugins: Mapping[str, Path] | None = None) -> Assets:
    """Every file as it was set up, with our own beside them; MissingAsset names the first that is not there.
    `plugins`: folders with the files of each by its name."""
    static = path.parent
    try:
        set_up = msgspec.json.decode(path.read_bytes(), type=dict[str, str])
    except (FileNotFoundError, msgspec.DecodeError):
        raise MissingAsset("The pages' assets are not set up: start ./run, which copies them.") from None
    for name, expected in set_up.items():
        file = static / name
        if not file.is_file():
            raise MissingAsset(f"{file} is missing: start ./run, which copies it.")
        if _digest(file) != expected:
            raise MissingAsset(f"{file} is not the file that was set up: remove {path} and start ./run again.")
    files = {name: static / name for name in set_up} | {_name(static, file): file for file in _own_files(static)}
    for plugin, folder in (plugins or {}).items():
        files |= {f"{OF_PLUGINS}/{plugin}/{_name(folder, file)}": file for file in _below(folder)}
    versions = _versions({name: set_up.get(name) or _digest(file) for name, file in files.items()})
    return Assets({name: Asset(file, versions[_group(name)]) for name, file in files.items()})


def named_icons(folders: Iterable[Path]) -> dict[str, str]:
    """Icons that templates, scripts and manifests name for certain, each with the first place that does."""
    found: dict[str, str] = {}
    for file, text in _sources(folders, "*.html", "*.js", "*.py"):
        for match in re.finditer(r"""\bicon(?:_name|_button|_link)?["']?\s*[=:(]\s*["']([a-z0-9-]+)["']""", text):
            line = text.count("\n", 0, match.start()) + 1
            found.setdefault(match[1], f"{file}:{line}")
    return found


def named_assets(folders: Iterable[Path]) -> dict[str, str]:
    """Static files that templates ask for, each with the first place that does."""
    found: dict[str, str] = {}
    for file, text in _sources(folders, "*.html"):
        for match in re.finditer(r"""\basset\(\s*["']([^"']+)["']\s*\)""", text):
            line = text.count("\n", 0, match.start()) + 1
            found.setdefault(match[1], f"{file}:{line}")
    return found


def build(node_modules: Path, static: Path = STATIC, folders: Iterable[Path] | None = None) -> None:
    """Copies, draws and writes down; a half-done earlier try leaves nothing behind."""
    folders = [ROOT / name for name in NAMED_IN] if folders is None else list(folders)
    half_made = static / "vendor.new"
    shutil.rmtree(half_made, ignore_errors=True)
    half_made.mkdir(parents=True)
    for place, (package, patterns) in COPIED.items():
        _copy(node_modules / package, patterns, half_made / place)
    sprite = _sprite(node_modules / ICONS, folders)
    (half_made / "THIRD-PARTY.txt").write_text(_third_party(node_modules), encoding="utf-8")

    (static / "manifest.json").unlink(missing_ok=True)
    shutil.rmtree(static / "vendor", ignore_errors=True)
    half_made.rename(static / "vendor")
    (static / "icons.svg").write_text(sprite, encoding="utf-8")
    files = [*_below(static / "vendor"), static / "icons.svg"]
    hashes = {_name(static, file): _digest(file) for file in files}
    (static / "manifest.json").write_text(json.dumps(hashes, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _copy(package: Path, patterns: tuple[str, ...], place: Path) -> None:
    for pattern in patterns:
        found = sorted(package.glob(pattern))
        if not found:
            raise MissingAsset(f"{package / pattern} is missing: remove node_modules and start ./run again.")
        for file in found:
            # A folder of fonts keeps its name: the style sheet beside it finds them by it.
            target = place / "files" / file.name if file.parent.name == "files" else place / file.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)


def _sprite(package: Path, folders: list[Path]) -> str:
    """One SVG with a symbol an icon: the base list, what is named for certain, and what may be a name."""
    outlines = {file.stem: file for file in (package / "icons" / "outline").glob("*.svg")}
    if not outlines:
        raise MissingAsset(f"{package} is missing: remove node_modules and start ./run again.")
    certain = named_icons(folders)
    for name, place in certain.items():
        if name not in outlines:
            raise MissingAsset(f"{place} names the icon {name}, which Tabler does not have.")
    # Macros take icons by position too: each string of a template that is an icon's name is taken for one.
    strings = {
        name
        for _, text in _sources(folders, "*.html", "*.js")
        for name in re.findall(r"""["']([a-z][a-z0-9-]*)["']""", text)
    }
    names = {*BASE_ICONS.read_text(encoding="utf-8").split(), *certain, *(strings & outlines.keys())}
    symbols = "\n".join(_symbol(name, outlines[name]) for name in sorted(names))
    return f'<svg xmlns="http://www.w3.org/2000/svg">\n{symbols}\n</svg>\n'


def _symbol(name: str, file: Path) -> str:
    drawing = re.sub(r"^.*?<svg[^>]*>|</svg>\s*$", "", file.read_text(encoding="utf-8"), flags=re.DOTALL)
    drawing = re.sub(r'<path stroke="none" d="M0 0h24v24H0z" fill="none"\s*/>', "", drawing)
    drawing = re.sub(r"\s*\n\s*", "", drawing).strip()
    look = 'fill="none" stroke="currentColor" stroke-linecap="round" stroke-linejoin="round"'
    return f'<symbol id="{name}" viewBox="0 0 24 24" {look}>{drawing}</symbol>'


def _third_party(node_modules: Path) -> str:
    """Name, version and licence of each package that pages are made of."""
    parts = ["What the pages load from others, each under its own licence.\n"]
    for package in sorted({ICONS, *(package for package, _ in COPIED.values())}):
        folder = node_modules / package
        about = json.loads((folder / "package.json").read_text(encoding="utf-8"))
        texts = sorted(file for file in folder.glob("LICEN[CS]E*") if file.is_file())
        words = "\n\n".join(file.read_text(encoding="utf-8").strip() for file in texts)
        parts.append(f"{'=' * 80}\n{package} {about['version']}: {about['license']}\n\n{words}".rstrip() + "\n")
    return "\n".join(parts)


def _sources(folders: Iterable[Path], *patterns: str) -> Iterator[tuple[Path, str]]:
    for folder in folders:
        for pattern in patterns:
            for file in sorted(folder.rglob(pattern)):
                if not any(part in ("vendor", "vendor.new", "node_modules") for part in file.parts):
                    yield file, file.read_text(encoding="utf-8")


def _own_files(static: Path) -> list[Path]:
    return [file for file in _below(static) if file.relative_to(static).parts[0] not in ("vendor", "vendor.new")]


def _below(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file() and file.suffix in MEDIA_TYPES)


def _name(static: Path, file: Path) -> str:
    return file.relative_to(static).as_posix()


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _group(name: str) -> str:
    """Files that may refer to each other by relative addresses: a package's, a plugin's, and our own."""
    parts = name.split("/")
    return "/".join(parts[:2]) if parts[0] in ("vendor", OF_PLUGINS) else ""


def _versions(hashes: Mapping[str, str]) -> dict[str, str]:
    groups: dict[str, list[str]] = {}
    for name in sorted(hashes):
        groups.setdefault(_group(name), []).append(f"{name} {hashes[name]}")
    return {group: hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16] for group, lines in groups.items()}


if __name__ == "__main__":
    try:
        build(ROOT / "node_modules")
    except MissingAsset as missing:
        sys.exit(str(missing))
