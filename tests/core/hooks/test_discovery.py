"""Plugins are found by their entry point; a broken one is listed with its error and harms no other."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from core.hooks import Plugin, PluginError, find_plugins, usable
from core.hooks.discovery import GROUP
from tests.core.hooks.modules import SPECS

Install = Callable[..., None]

MODULE = """
from core.hooks import Manifest, hookimpl

MANIFEST = Manifest(name={name!r}, label="Test", version="1.2", hook_version="1.0", order={order}, needs={needs!r})
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Puts a distribution with one plugin on the path, as pip does; `text` is its module, else one that is right."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def installed(
        name: str,
        text: str = "",
        *,
        order: int = 100,
        needs: tuple[str, ...] = (),
        distribution: str = "",
        value: str = "",
    ) -> None:
        distribution = distribution or f"{name}-for-tests"
        package = tmp_path / f"{distribution.replace('-', '_')}_package"
        package.mkdir()
        (package / "__init__.py").write_text("")
        (package / "plugin.py").write_text(MODULE.format(name=name, order=order, needs=needs) + text)
        metadata = tmp_path / f"{distribution.replace('-', '_')}-3.4.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 3.4\n")
        (metadata / "entry_points.txt").write_text(f"[{GROUP}]\n{name} = {value or package.name + '.plugin'}\n")
        for loaded in [one for one in sys.modules if one.startswith(package.name)]:
            del sys.modules[loaded]

    return installed


def found(**options: object) -> dict[str, Plugin]:
    """The plugins of these tests; ours may be installed as well."""
    plugins = find_plugins(SPECS, **options)  # type: ignore[arg-type]  # passed on as they are
    return {name: plugin for name, plugin in plugins.items() if "for-tests" in plugin.distribution}


def test_an_installed_plugin_is_found_with_its_manifest_its_package_and_its_folder(
    install: Install, tmp_path: Path
) -> None:
    install("alpha")

    plugin = found()["alpha"]

    assert (plugin.name, plugin.manifest.version, plugin.distribution, plugin.error) == (
        "alpha",
        "1.2",
        "alpha-for-tests 3.4",
        "",
    )
    assert plugin.folder == tmp_path / "alpha_for_tests_package"
    assert plugin.module.MANIFEST is plugin.manifest


def test_a_module_that_no_entry_point_names_is_no_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "stray_plugin.py").write_text(MODULE.format(name="stray", order=1, needs=()))

    assert "stray" not in find_plugins(SPECS)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("raise RuntimeError('no licence')", "RuntimeError: no licence"),
        ("import a_module_that_is_not_there", "ModuleNotFoundError: No module named 'a_module_that_is_not_there'"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("(", "SyntaxError"),
        ("MANIFEST = None", "has no MANIFEST"),
        ("MANIFEST = Manifest(name='other', label='', version='1', hook_version='1.0')", "its manifest says other"),
        ("@hookimpl\ndef customer_tabs(): ...", "customer_tabs must be written with async def"),
        ("@hookimpl\nasync def customer_tabz(): ...", "unknown hook 'customer_tabz'"),
        ("async def customer_tabs(): ...", "not marked with @hookimpl"),
        ("@hookimpl\nasync def customer_moved(events): ...", "the events of its manifest do not name it"),
    ],
)
def test_a_broken_plugin_is_listed_with_its_error_and_the_others_are_there(
    install: Install, text: str, reason: str
) -> None:
    install("broken", text)
    install("good")

    plugins = found()

    assert list(plugins) == ["good", "broken"]
    assert list(usable(plugins)) == ["good"]
    assert reason in plugins["broken"].error
    assert plugins["broken"].distribution == "broken-for-tests 3.4"
    with pytest.raises(PluginError, match="Plugin broken: "):
        _ = plugins["broken"].manifest


def test_a_name_that_two_packages_bring_is_loaded_from_neither(install: Install) -> None:
    install("twice")
    install("twice", distribution="impostor-for-tests")

    plugins = found()

    assert plugins["twice"].error == "2 installed packages bring a plugin of this name"
    assert usable(plugins) == {}


def test_a_name_of_the_core_is_refused(install: Install) -> None:
    install("customers")

    assert "belongs to the core" in found(taken={"customers"})["customers"].error


def test_plugins_stand_in_the_order_of_their_manifests_then_of_their_names(install: Install) -> None:
    install("last", order=300)
    install("zebra")
    install("ant")
    install("first", order=1)

    assert list(found()) == ["first", "ant", "zebra", "last"]


def test_what_a_plugin_needs_stands_before_it_whatever_its_order(install: Install) -> None:
    install("eager", order=1, needs=("base",))
    install("base", order=500)
    install("middle", order=100)

    assert list(found()) == ["middle", "base", "eager"]


def test_a_plugin_whose_need_is_not_met_is_left_out_and_so_is_who_needs_it(install: Install) -> None:
    install("top", needs=("middle",))
    install("middle", needs=("missing", "good"))
    install("good")

    plugins = found()

    assert plugins["middle"].error == "it needs the plugin missing, which is not installed"
    assert plugins["top"].error == "it needs the plugin middle, which could not be loaded"
    assert list(usable(plugins)) == ["good"]


def test_plugins_that_need_each_other_are_left_out_and_those_beside_them_stay(install: Install) -> None:
    install("hen", needs=("egg",))
    install("egg", needs=("hen",))
    install("fox", needs=("hen",))
    install("good")

    plugins = found()

    assert plugins["hen"].error == plugins["egg"].error == plugins["fox"].error == "it needs itself, by way of others"
    assert list(usable(plugins)) == ["good"]


def test_points_stand_in_for_what_is_installed() -> None:
    plugins = find_plugins(SPECS, points=[EntryPoint("ghost", "a_module_that_is_not_there", GROUP)])

    assert plugins["ghost"].error.startswith("ModuleNotFoundError")
    assert plugins["ghost"].distribution == "a_module_that_is_not_there"
