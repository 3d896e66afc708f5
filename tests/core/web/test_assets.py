"""Assets: copied, drawn, named by their content, and missed before anyone asks for them."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from core.web.assets import (
    BASE_ICONS,
    COPIED,
    NAMED_IN,
    ROOT,
    MissingAsset,
    build,
    load_manifest,
    named_assets,
    named_icons,
)

NODE_MODULES = ROOT / "node_modules"


@pytest.fixture
def static(tmp_path: Path) -> Path:
    """A folder like static/, with an own style sheet, set up from the real packages."""
    static = tmp_path / "static"
    static.mkdir()
    (static / "own.css").write_text("body { margin: 0 }")
    build(NODE_MODULES, static, [])
    return static


def test_every_package_is_copied_with_its_licence(static: Path) -> None:
    assets = load_manifest(static / "manifest.json")

    licences = assets.path("vendor/THIRD-PARTY.txt").read_text()
    for place, (package, _) in COPIED.items():
        assert any(name.startswith(f"vendor/{place}/") for name in assets.names)
        assert re.search(rf"^{re.escape(package)} \d+\.\d+\.\d+: \S+", licences, re.MULTILINE)


def test_a_style_sheet_finds_its_fonts_beside_its_own_address(static: Path) -> None:
    assets = load_manifest(static / "manifest.json")

    sheet = assets("vendor/inter/wght.css")
    for font in re.findall(r"url\(\./([^)]+)\)", assets.path("vendor/inter/wght.css").read_text()):
        assert sheet.replace("wght.css", font) == assets(f"vendor/inter/{font}")


def test_an_address_changes_with_the_content_and_the_old_one_is_not_kept_for_good(static: Path) -> None:
    before = load_manifest(static / "manifest.json")
    (static / "own.css").write_text("body { margin: 1px }")

    after = load_manifest(static / "manifest.json")

    assert before("own.css") != after("own.css")
    assert before("vendor/tabler/tabler.min.css") == after("vendor/tabler/tabler.min.css")
    old, new = before("own.css").split("/")[2], after("own.css").split("/")[2]
    found = after.find(old, "own.css")
    assert found is not None
    assert found[1] is False
    assert after.find(new, "own.css") == (found[0], True)


def test_a_plugin_brings_files_of_its_own_which_find_each_other(static: Path, tmp_path: Path) -> None:
    brought = tmp_path / "maps" / "static"
    (brought / "parts").mkdir(parents=True)
    (brought / "own.css").write_text("p { margin: 0 }")
    (brought / "parts" / "map.js").write_text("draw()")
    (brought / "notes.md").write_text("not for browsers")
    plain = load_manifest(static / "manifest.json")

    assets = load_manifest(static / "manifest.json", {"maps": brought})

    assert assets.names - plain.names == {"plugins/maps/own.css", "plugins/maps/parts/map.js"}
    sheet = assets("plugins/maps/own.css")
    assert sheet.removesuffix("own.css") + "parts/map.js" == assets("plugins/maps/parts/map.js")
    assert assets("own.css") == plain("own.css") != sheet
    (brought / "parts" / "map.js").write_text("draw(1)")
    changed = load_manifest(static / "manifest.json", {"maps": brought})
    assert changed("plugins/maps/own.css") != sheet
    assert changed("own.css") == plain("own.css")


@pytest.mark.parametrize("name", ["../manifest.json", "vendor", "manifest.json", "nothing.css", ""])
def test_what_is_not_an_asset_is_not_found(static: Path, name: str) -> None:
    assert load_manifest(static / "manifest.json").find("0", name) is None


def test_a_missing_file_stops_the_start_and_says_what_to_do(static: Path) -> None:
    (static / "vendor" / "htmx" / "htmx.min.js").unlink()

    with pytest.raises(MissingAsset, match=r"htmx\.min\.js is missing: start \./run"):
        load_manifest(static / "manifest.json")


def test_a_file_cut_short_stops_the_start(static: Path) -> None:
    sheet = static / "vendor" / "tabler" / "tabler.min.css"
    sheet.write_bytes(sheet.read_bytes()[:1000])

    with pytest.raises(MissingAsset, match="not the file that was set up"):
        load_manifest(static / "manifest.json")


@pytest.mark.parametrize("content", [None, "", '{"vendor/'])
def test_without_its_manifest_nothing_starts(static: Path, content: str | None) -> None:
    if content is None:
        (static / "manifest.json").unlink()
    else:
        (static / "manifest.json").write_text(content)

    with pytest.raises(MissingAsset, match=r"not set up: start \./run"):
        load_manifest(static / "manifest.json")


def test_a_build_that_lacks_a_package_names_it_and_keeps_what_was_there(static: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingAsset, match=r"remove node_modules and start \./run"):
        build(tmp_path / "nothing", static, [])

    assert load_manifest(static / "manifest.json").names


def test_icons_are_drawn_for_templates_scripts_and_manifests(static: Path, tmp_path: Path) -> None:
    pages = tmp_path / "pages"
    pages.mkdir()
    (pages / "page.html").write_text("""{{ m.icon("rocket") }} {{ m.button("Fly", "plane") }} {"icon": "anchor"}""")
    (pages / "page.js").write_text("use.setAttribute('href', sprite('sailboat'))")
    (pages / "plugin.py").write_text('MenuItem(label="Ships", icon="ship")')

    build(NODE_MODULES, static, [pages])

    icons = load_manifest(static / "manifest.json").icons
    assert {"rocket", "plane", "anchor", "sailboat", "ship"} <= icons
    assert set(BASE_ICONS.read_text().split()) <= icons
    assert "abacus" not in icons


def test_an_icon_that_does_not_exist_is_named_with_its_place(static: Path, tmp_path: Path) -> None:
    pages = tmp_path / "pages"
    pages.mkdir()
    (pages / "page.html").write_text('<p>\n{{ m.icon("no-such-drawing") }}')

    with pytest.raises(MissingAsset, match=r"page\.html:2 names the icon no-such-drawing"):
        build(NODE_MODULES, static, [pages])


def test_an_unknown_name_in_a_template_is_said_plainly(static: Path) -> None:
    with pytest.raises(MissingAsset, match=r"There is no static file new\.css"):
        load_manifest(static / "manifest.json")("new.css")


def test_text_is_packed_and_fonts_are_not(static: Path) -> None:
    assets = load_manifest(static / "manifest.json")

    sheet, _ = assets.find("", "vendor/tabler/tabler.min.css") or pytest.fail("no style sheet")
    font, _ = assets.find("", "vendor/inter/files/inter-latin-wght-normal.woff2") or pytest.fail("no font")

    assert sheet.gzipped is not None
    assert len(sheet.gzipped) < len(sheet.body) / 4
    assert gzip.decompress(sheet.gzipped) == sheet.body
    assert (sheet.media_type, font.media_type) == ("text/css", "font/woff2")
    assert font.gzipped is None


def test_everything_that_our_templates_name_is_there() -> None:
    folders = [ROOT / name for name in NAMED_IN]

    assets = load_manifest(plugins={folder.parent.name: folder for folder in (ROOT / "plugins").glob("*/static")})

    assert {name: place for name, place in named_assets(folders).items() if name not in assets.names} == {}
    assert {name: place for name, place in named_icons(folders).items() if name not in assets.icons} == {}
