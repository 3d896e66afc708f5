"""The deployment's configuration and the keys of its secrets."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.config import Config, ConfigError, Keys, SealedOtherwise, load_config


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "var"


def load(data: Path, text: str = "", **environment: str) -> Config:
    """From a file of this text, with this environment."""
    file = data.parent / "tenantry.toml"
    file.write_text(text)
    return load_config(file, environment={"TENANTRY_DATA": str(data), **environment})


# ------------------------------------------------------------------ settings


def test_nothing_needs_to_be_configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    config = load_config(environment={})

    assert (config.server.host, config.server.port, config.server.domain) == ("127.0.0.1", 8000, "localhost")
    assert config.placement.default == "sqlite"
    assert config.databases == {}
    assert config.data == tmp_path / "var"
    assert config.data.is_dir()


@pytest.mark.parametrize(("server", "own"), [("", True), ("secure = true", False), ('host = "0.0.0.0"', False)])
def test_this_machine_is_called_only_where_it_serves_nobody_else(data: Path, server: str, own: bool) -> None:
    config = load(data, f'[server]\n{server}\n[outbound]\ninternal_hosts = "Relay.example.net"')

    assert ("127.0.0.1" in config.internal_hosts, "localhost" in config.internal_hosts) == (own, own)
    assert "relay.example.net" in config.internal_hosts


@pytest.mark.parametrize("domain", ["", "https://example.net", "Example.net", "example.net:8000", "*.example.net"])
def test_a_domain_under_which_nobody_would_be_found_stops_the_start(data: Path, domain: str) -> None:
    with pytest.raises(ConfigError, match=r"server\.domain: .* is no name of the DNS"):
        load(data, f'[server]\ndomain = "{domain}"')


def test_the_file_is_read(data: Path) -> None:
    config = load(
        data,
        """
        [server]
        host = "0.0.0.0"
        port = 8080
        domain = "example.net"
        [placement]
        default = "main"
        [database.main]
        app_dsn = "postgresql://app@db/tenants"
        owner_dsn = "postgresql://owner@db/tenants"
        """,
    )

    assert (config.server.host, config.server.port, config.server.domain) == ("0.0.0.0", 8080, "example.net")
    assert config.placement.default == "main"
    assert config.databases["main"].app_dsn == "postgresql://app@db/tenants"
    assert config.databases["main"].owner_dsn == "postgresql://owner@db/tenants"


def test_the_file_is_found_in_the_working_folder_or_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tenantry.toml").write_text("[server]\nport = 8001")
    Path("other.toml").write_text("[server]\nport = 8002")

    assert load_config(environment={}).server.port == 8001
    assert load_config(environment={"TENANTRY_CONFIG": "other.toml"}).server.port == 8002
    assert load_config(Path("other.toml"), environment={}).server.port == 8002


def test_the_environment_wins_over_the_file(data: Path) -> None:
    text = "[server]\nport = 8080\nhost = 'a'"

    assert load(data, text, TENANTRY__SERVER__PORT="8081").server.port == 8081
    assert load(data, text, TENANTRY_PORT="8082").server.port == 8082
    assert load(data, text, TENANTRY_PORT="8082", TENANTRY__SERVER__PORT="8081").server.port == 8082
    assert load(data, text, TENANTRY_PORT="").server.port == 8080
    assert load(data, text, TENANTRY__SERVER__PORT="8081").server.host == "a"


def test_a_whole_database_can_come_from_the_environment(data: Path) -> None:
    config = load(
        data,
        TENANTRY__DATABASE__MAIN__APP_DSN="app",
        TENANTRY__DATABASE__MAIN__OWNER_DSN="owner",
        TENANTRY__PLACEMENT__DEFAULT="main",
    )

    assert config.databases["main"].app_dsn == "app"


def test_a_secret_can_be_a_file(data: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("postgresql://app:s3cret@db/t\n")

    config = load(
        data,
        f"[database.main]\napp_dsn = 'from file'\nowner_dsn_file = '{secret}'",
        TENANTRY__DATABASE__MAIN__APP_DSN_FILE=str(secret),
    )

    assert config.databases["main"].app_dsn == "postgresql://app:s3cret@db/t"
    assert config.databases["main"].owner_dsn == "postgresql://app:s3cret@db/t"


def test_secrets_do_not_show(data: Path) -> None:
    config = load(data, "[database.main]\napp_dsn = 's3cret'\nowner_dsn = 's3cret'")

    assert "s3cret" not in repr(config)
    for line in (data / "keys").read_text().splitlines()[1:]:
        assert line.split()[1] not in repr(config)


@pytest.mark.parametrize(
    ("text", "environment", "complaint"),
    [
        ("[server]\nprot = 1", {}, r"tenantry\.toml: there is no setting server\.prot; did you mean server\.port\?"),
        ("[sever]\nport = 1", {}, r"there is no setting sever; did you mean server\?"),
        ("port = 1", {}, r"there is no setting port"),
        ("[database.main]\nowner_dns = 'b'", {}, r"no setting database\.main\.owner_dns; did you mean .*\.owner_dsn"),
        ("[database]\nmain = 'dsn'", {}, r"database\.main is a section"),
        ("", {"TENANTRY__SERVER__PROT": "1"}, r"TENANTRY__SERVER__PROT: there is no setting server\.prot"),
        ("", {"TENANTRY__SERVER": "1"}, r"TENANTRY__SERVER: server is a section, not a setting"),
        ("", {"TENANTRY__SERVER__PORT__X": "1"}, r"there is no setting server\.port\.x"),
        ("[server]\nport = '8000x'", {}, r"server\.port: Expected `int`"),
        ("[server]\nport = 0", {}, r"server\.port: Expected `int` >= 1"),
        ("[server]\nport = true", {}, r"server\.port: Expected `int`"),
        ("", {"TENANTRY_PORT": "http"}, r"TENANTRY_PORT: server\.port: Expected `int`"),
        ("", {"TENANTRY_PORT": "70000"}, r"TENANTRY_PORT: server\.port: Expected `int` <= 65535"),
        ("[placement]\ndefault = 'main'", {}, r"placement\.default: there is no \[database\.main\]"),
        ("[server]\nproxies = '10.88.0.1, proxy'", {}, r"server\.proxies: “proxy” is neither an address nor a network"),
        ("[server]\nproxies = '10.88.0.1/16'", {}, r"server\.proxies: “10\.88\.0\.1/16” is neither"),
        ("[database.main]\napp_dsn = 'a'", {}, r"\[database\.main\] lacks owner_dsn"),
        ("[database.main]\napp_dsn_file = '/nowhere'", {}, r"database\.main\.app_dsn_file: /nowhere cannot be read"),
        ("[server", {}, r"tenantry\.toml: Expected"),
    ],
)  # fmt: skip
def test_what_is_wrong_stops_the_start_with_its_name_and_where_it_stands(
    data: Path, text: str, environment: Mapping[str, str], complaint: str
) -> None:
    with pytest.raises(ConfigError, match=complaint):
        load(data, text, **environment)


def test_a_file_that_was_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no file"):
        load_config(tmp_path / "nowhere.toml", environment={})
    with pytest.raises(ConfigError, match="there is no file"):
        load_config(environment={"TENANTRY_CONFIG": str(tmp_path / "nowhere.toml")})


def test_a_folder_of_data_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigError, match=r"TENANTRY_DATA: the folder .*/file/var cannot be made"):
        load_config(environment={"TENANTRY_DATA": str(tmp_path / "file" / "var")})


def test_a_file_in_the_place_of_the_folder_of_data_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigError, match=r"TENANTRY_DATA: .*/file is a file, not a folder"):
        load_config(environment={"TENANTRY_DATA": str(tmp_path / "file")})


def test_a_folder_of_data_in_which_nothing_can_be_written_is_named() -> None:
    with pytest.raises(ConfigError, match="TENANTRY_DATA: nothing can be written in the folder /proc/"):
        load_config(environment={"TENANTRY_DATA": "/proc/self"})


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_so_is_one_that_belongs_to_somebody_else(tmp_path: Path) -> None:
    load_config(environment={"TENANTRY_DATA": str(tmp_path)})
    tmp_path.chmod(0o500)

    with pytest.raises(ConfigError, match="it is read-only, or belongs to somebody else"):
        load_config(environment={"TENANTRY_DATA": str(tmp_path)})


# ------------------------------------------------------------------ keys


def test_the_first_start_makes_the_keys_for_their_owner_only_and_the_next_reads_them(data: Path) -> None:
    sealed = load(data).keys.seal("geheim")

    assert (data / "keys").stat().st_mode & 0o777 == 0o600
    assert load(data).keys.open(sealed) == "geheim"
    assert [path.name for path in data.iterdir()] == ["keys"]


def test_two_first_starts_at_once_agree_on_the_keys(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(lambda _: Keys.of_file(tmp_path / "keys").ids, range(64)))

    assert len(ids) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["keys"]


def test_a_sealed_secret_names_its_key_and_hides_its_text() -> None:
    keys = Keys.generated()

    sealed = keys.seal("pässword")

    assert sealed.startswith(f"{keys.ids[0]}:")
    assert "ssword" not in sealed
    assert keys.seal("pässword") != sealed
    assert keys.open(sealed) == "pässword"


def test_a_secret_whose_key_is_gone_is_a_clear_error() -> None:
    lost, here = Keys.generated(), Keys.generated()

    with pytest.raises(SealedOtherwise, match=f"sealed with the key {lost.ids[0]}; here are only {here.ids[0]}"):
        here.open(lost.seal("geheim"))


@pytest.mark.parametrize(
    "damage",
    [lambda s: s[:-3], lambda s: s.replace(":", ":A"), lambda s: s.split(":")[0] + ":", lambda s: s[:-9] + "A" * 9],
)
def test_a_damaged_secret_is_not_opened(damage: Callable[[str], str]) -> None:
    keys = Keys.generated()

    with pytest.raises(SealedOtherwise, match="is damaged"):
        keys.open(damage(keys.seal("geheim")))


def test_a_secret_cannot_be_passed_off_under_another_key(tmp_path: Path) -> None:
    Keys.of_file(tmp_path / "keys")
    keys = Keys.add_to_file(tmp_path / "keys")
    token = keys.seal("geheim").partition(":")[2]

    with pytest.raises(SealedOtherwise, match="is damaged"):
        keys.open(f"{keys.ids[1]}:{token}")


def test_after_a_new_key_old_secrets_open_and_rotating_seals_them_anew(tmp_path: Path) -> None:
    old = Keys.of_file(tmp_path / "keys")
    sealed = old.seal("geheim")

    new = Keys.add_to_file(tmp_path / "keys")

    assert new.ids[1:] == old.ids
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o600
    assert new.open(sealed) == "geheim"
    rotated = new.rotate(sealed)
    assert rotated.startswith(f"{new.ids[0]}:")
    assert new.open(rotated) == "geheim"
    assert new.rotate(rotated) == rotated


def test_who_runs_meanwhile_takes_a_new_key_from_the_file_and_only_from_there(tmp_path: Path) -> None:
    running, gone = Keys.of_file(tmp_path / "keys"), Keys.of_file(tmp_path / "keys")
    rotated = Keys.add_to_file(tmp_path / "keys").seal("geheim")

    assert running.open(rotated) == "geheim"
    assert running.seal("neu").startswith(rotated.partition(":")[0])
    (tmp_path / "keys").unlink()
    with pytest.raises(SealedOtherwise, match="here are only"):
        gone.open(rotated)


def test_keys_that_others_can_read_stop_the_start(data: Path) -> None:
    load(data)
    (data / "keys").chmod(0o640)

    with pytest.raises(ConfigError, match="can be read by others: chmod 600"):
        load(data)


@pytest.mark.parametrize("content", ["", "# only a comment\n", "abc\n", "abc def ghi\n", "abc tooshort\n", "abc é\n"])
def test_damaged_keys_stop_the_start(data: Path, content: str) -> None:
    load(data)
    (data / "keys").write_bytes(content.encode())

    with pytest.raises(ConfigError, match=r"damaged|cannot be read"):
        load(data)


def test_a_key_id_that_stands_twice_stops_the_start(data: Path) -> None:
    load(data)
    line = (data / "keys").read_text().splitlines()[1]
    (data / "keys").write_text(f"{line}\n{line}\n")

    with pytest.raises(ConfigError, match="damaged"):
        load(data)


def test_keys_need_a_key() -> None:
    with pytest.raises(ConfigError, match="no key"):
        Keys({})


def test_the_environment_of_the_process_is_the_default(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENANTRY_DATA", str(data))
    monkeypatch.setenv("TENANTRY_PORT", "8123")
    monkeypatch.chdir(data.parent)
    for name in [name for name in os.environ if name.startswith("TENANTRY__")]:
        monkeypatch.delenv(name)

    assert load_config().server.port == 8123
