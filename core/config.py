"""The deployment's configuration: `tenantry.toml`, overridden by the environment, into frozen structs; and the keys.

A setting `app_dsn` of `[database.main]` can also be given as TENANTRY__DATABASE__MAIN__APP_DSN, and every one as a file
that holds it: `app_dsn_file` or TENANTRY__DATABASE__MAIN__APP_DSN_FILE. A setting that nobody knows stops the start.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
import secrets
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple, get_args, get_origin

import msgspec
from cryptography.fernet import Fernet, InvalidToken
from msgspec import Meta, Struct, field

FILE: Final = "tenantry.toml"
PREFIX: Final = "TENANTRY__"
SQLITE: Final = "sqlite"
_DOMAIN: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


class ConfigError(Exception):
    """The configuration cannot be used. Says which setting, from where, and what is wrong with it."""


class Server(Struct, frozen=True, forbid_unknown_fields=True):
    """Where pages are answered. A tenant is found at `<slug>.<domain>`, or at an address of its own."""

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65535)] = 8000
    domain: str = "localhost"
    secure: bool = False
    """Whether browsers reach it over https (a proxy in front): cookies and links follow."""
    public_port: Annotated[int, Meta(ge=0, le=65535)] = 0
    """The port that browsers use, where a proxy in front has another one; 0: the usual one of https, else `port`."""
    proxies: str = "127.0.0.1, ::1"
    """Addresses or networks of the proxies in front, parted by commas: with `secure`, they say who asks."""

    def address_of(self, host: str) -> str:
        """The base URL of a host name's pages, without a slash at the end."""
        usual = 443 if self.secure else 80
        port = self.public_port or (usual if self.secure else self.port)
        return f"{'https' if self.secure else 'http'}://{host}{'' if port == usual else f':{port}'}"


class Placement(Struct, frozen=True, forbid_unknown_fields=True):
    """Where new tenants go: "sqlite", or the name of a database; several, parted by commas: the least full of them."""

    default: str = SQLITE
    spare: Annotated[int, Meta(ge=0, le=50)] = 2
    """Schemas that each PostgreSQL database keeps ready for new tenants."""
    keep_moved: Annotated[int, Meta(ge=0, le=3650)] = 7
    """Days that a moved tenant's old database is kept."""
    keep_upgraded: Annotated[int, Meta(ge=1, le=3650)] = 90
    """Days that the copy made before an upgrade is kept: what is older goes with the next upgrade that succeeds."""
    schemas: Annotated[int, Meta(ge=1, le=100_000)] = 200
    """How many a PostgreSQL database may hold, those kept ready too: its catalogue grows heavy with them."""

    @property
    def places(self) -> tuple[str, ...]:
        """Where new tenants may go."""
        return tuple(dict.fromkeys(name.strip() for name in self.default.split(",") if name.strip())) or (SQLITE,)


class DatabaseServer(Struct, frozen=True, forbid_unknown_fields=True):
    """A PostgreSQL database. The app role owns nothing; the owner migrates, and only the host knows its DSN."""

    app_dsn: str
    owner_dsn: str

    def __repr__(self) -> str:
        return "DatabaseServer(…)"


class Outbound(Struct, frozen=True, forbid_unknown_fields=True):
    """Where tenants may connect to, beside the public internet."""

    internal_hosts: str = ""
    """Names or addresses of hosts inside (a mail relay), parted by commas."""


class Log(Struct, frozen=True, forbid_unknown_fields=True):
    """What the processes write to stderr."""

    format: Literal["auto", "json", "text"] = "auto"
    """auto: lines for a person at a terminal, else one JSON object a line."""
    level: Literal["", "debug", "info", "warning", "error"] = ""
    """Empty: info as JSON (with a line for each request), warning as text."""


class Metrics(Struct, frozen=True, forbid_unknown_fields=True):
    """Figures for Prometheus, at /metrics of the machine's own name."""

    token: str = ""
    """What a scraper names as its bearer token; empty: whoever reaches the server under that name."""

    def __repr__(self) -> str:
        return "Metrics(…)"


class Limits(Struct, frozen=True, forbid_unknown_fields=True):
    """How often something may be asked for; 0: without a limit. Each process counts for itself."""

    api_token: Annotated[int, Meta(ge=0, le=1_000_000)] = 600
    """Requests of the API in a minute with one token."""
    api_address: Annotated[int, Meta(ge=0, le=1_000_000)] = 1200
    """Requests of the API in a minute from one address, with any token or none."""
    login_account: Annotated[int, Meta(ge=0, le=100_000)] = 10
    """Wrong tries to log in of one account in five minutes."""
    login_address: Annotated[int, Meta(ge=0, le=100_000)] = 60
    """Wrong tries to log in from one address in five minutes."""


class Config(Struct, frozen=True, kw_only=True):
    """One deployment."""

    data: Path
    """Everything that it keeps: tenants' files, documents, keys."""
    server: Server
    placement: Placement
    databases: Mapping[str, DatabaseServer]
    keys: Keys
    outbound: Outbound = Outbound()
    log: Log = Log()
    metrics: Metrics = Metrics()
    limits: Limits = Limits()

    @property
    def internal_hosts(self) -> frozenset[str]:
        """Hosts that are not public and yet allowed. This machine is, as long as it serves nobody but itself: with
        `secure` a proxy is in front."""
        alone = self.server.host in LOOPBACK and not self.server.secure
        own = LOOPBACK if alone else frozenset[str]()
        return own | {host.strip().lower() for host in self.outbound.internal_hosts.split(",") if host.strip()}


class _Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """What may stand in the file."""

    server: Server = field(default_factory=Server)
    placement: Placement = field(default_factory=Placement)
    database: dict[str, DatabaseServer] = {}
    outbound: Outbound = field(default_factory=Outbound)
    log: Log = field(default_factory=Log)
    metrics: Metrics = field(default_factory=Metrics)
    limits: Limits = field(default_factory=Limits)


def load_config(path: Path | None = None, *, environment: Mapping[str, str] = os.environ) -> Config:
    """The configuration from the file at `path`, else at TENANTRY_CONFIG, else `tenantry.toml` here if there is one.

    TENANTRY_DATA names the folder of data (`./var`), TENANTRY_PORT the port. Makes that folder, and its keys at the
    first start. Raises ConfigError.
    """
    settings = _read(_file(path, environment), environment)
    for place in settings.placement.places:
        if place != SQLITE and place not in settings.database:
            raise ConfigError(
                f"placement.default: there is no [database.{place}]; it is “sqlite” or names of databases"
            )
    if not _DOMAIN.fullmatch(settings.server.domain):
        raise ConfigError(
            f"server.domain: “{settings.server.domain}” is no name of the DNS in small letters, such as example.net"
        )
    for proxy in settings.server.proxies.split(","):
        try:
            ipaddress.ip_network(proxy.strip())
        except ValueError as error:
            raise ConfigError(
                f"server.proxies: “{proxy.strip()}” is neither an address nor a network such as 10.88.0.0/16"
            ) from error
    data = Path(environment.get("TENANTRY_DATA") or "var").resolve()
    return Config(
        data=data,
        server=settings.server,
        placement=settings.placement,
        databases=settings.database,
        keys=_keys_in(data),
        outbound=settings.outbound,
        log=settings.log,
        metrics=settings.metrics,
        limits=settings.limits,
    )


def _keys_in(data: Path) -> Keys:
    """The keys of the folder of data, which is made if it is not there."""
    try:
        data.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise ConfigError(f"TENANTRY_DATA: {data} is a file, not a folder") from error
    except OSError as error:
        raise ConfigError(f"TENANTRY_DATA: the folder {data} cannot be made: {error.strerror}") from error
    try:
        if not os.access(data, os.W_OK | os.X_OK):  # a tenant's database would say so later, and less clearly
            raise PermissionError(None, "it is read-only, or belongs to somebody else")
        return Keys.of_file(data / "keys")
    except OSError as error:
        raise ConfigError(f"TENANTRY_DATA: nothing can be written in the folder {data}: {error.strerror}") from error


class SealedOtherwise(Exception):
    """A sealed value cannot be opened: its key is not here, or the value is damaged."""


class Keys:
    """The keys that secrets in tenants' databases are sealed with, newest first: the first one seals, all of them open.

    They stand in a file beside the data, never in a database or a backup: `id key`, one a line. A sealed value begins
    with the id of its key.
    """

    def __init__(self, keys: Mapping[str, str], *, file: Path | None = None) -> None:
        self._file = file
        if not keys:
            raise ConfigError("there is no key to seal secrets with")
        try:
            self._keys = {key_id: Fernet(key) for key_id, key in keys.items()}
        except ValueError as error:
            raise ConfigError("a key is damaged: it must be 32 bytes in URL-safe base64") from error

    @classmethod
    def generated(cls) -> Keys:
        """One new key, kept nowhere: for tests."""
        return cls(dict([_new_key()]))

    @classmethod
    def of_file(cls, path: Path) -> Keys:
        """Those of this file; it is made, for its owner only, if it is not there."""
        if not path.exists():
            _write(path, [_new_key()], replace=False)
        return cls(dict(_lines(path)), file=path)

    @classmethod
    def add_to_file(cls, path: Path) -> Keys:
        """Put a new key before the others, so that it seals from now on. Rotate what is sealed, then the old ones can
        go.
        """
        _write(path, [_new_key(), *_lines(path)], replace=True)
        return cls(dict(_lines(path)), file=path)

    @property
    def ids(self) -> tuple[str, ...]:
        """Newest first."""
        return tuple(self._keys)

    def seal(self, secret: str) -> str:
        """Encrypted and authenticated, with the newest key."""
        key_id = self.ids[0]
        return f"{key_id}:{self._keys[key_id].encrypt(secret.encode()).decode()}"

    def open(self, sealed: str) -> str:
        """The secret. Raises SealedOtherwise, naming the key that is missing."""
        key_id, _, token = sealed.partition(":")
        if key_id not in self._keys:
            self._read_again()
        if key_id not in self._keys:
            raise SealedOtherwise(f"this secret is sealed with the key {key_id}; here are only {', '.join(self.ids)}")
        try:
            return self._keys[key_id].decrypt(token.encode()).decode()
        except InvalidToken:
            raise SealedOtherwise(f"this secret, sealed with the key {key_id}, is damaged") from None

    def take_over(self, others: Keys) -> None:
        """From now on these, for all that hold this."""
        self._keys = others._keys

    def _read_again(self) -> None:
        """Another process may have added a key since this one read them."""
        if self._file is not None:
            with suppress(ConfigError):
                self.take_over(Keys(dict(_lines(self._file))))

    def rotate(self, sealed: str) -> str:
        """Sealed with the newest key; as it was if it is already."""
        return sealed if sealed.partition(":")[0] == self.ids[0] else self.seal(self.open(sealed))

    def __repr__(self) -> str:
        return f"Keys({', '.join(self.ids)})"


class _Setting(NamedTuple):
    path: tuple[str, ...]
    value: object
    source: str


def _file(path: Path | None, environment: Mapping[str, str]) -> Path | None:
    if path is None and environment.get("TENANTRY_CONFIG"):
        path = Path(environment["TENANTRY_CONFIG"])
    if path is not None and not path.is_file():
        raise ConfigError(f"there is no file {path}")
    return path or (Path(FILE) if Path(FILE).is_file() else None)


def _read(path: Path | None, environment: Mapping[str, str]) -> _Settings:
    found: list[_Setting] = []
    if path is not None:
        try:
            found.extend(_flat(tomllib.loads(path.read_text("utf-8")), (), str(path)))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: {error}") from error
        except OSError as error:
            raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    found.extend(
        _Setting(tuple(name.removeprefix(PREFIX).lower().split("__")), environment[name], name)
        for name in sorted(environment)
        if name.startswith(PREFIX)
    )
    if port := environment.get("TENANTRY_PORT"):
        found.append(_Setting(("server", "port"), port, "TENANTRY_PORT"))
    return _built(map(_from_file, found))


def _flat(table: Mapping[str, Any], path: tuple[str, ...], source: str) -> Iterator[_Setting]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, (*path, name), source)
        else:
            yield _Setting((*path, name), value, source)


def _from_file(setting: _Setting) -> _Setting:
    """The content of the file for a setting `…_file`, without the line's end."""
    *parents, name = setting.path
    if not name.endswith("_file"):
        return setting
    try:
        content = Path(str(setting.value)).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{setting.source}: {'.'.join(setting.path)}: {setting.value} cannot be read") from error
    return _Setting((*parents, name.removesuffix("_file")), content, setting.source)


def _built(settings: Iterator[_Setting]) -> _Settings:
    """The settings as structs; a later one wins over an earlier one of the same name."""
    tree: dict[str, Any] = {}
    for setting in settings:
        kind = _kind_of(setting)
        try:
            value = msgspec.convert(setting.value, kind, strict=not isinstance(setting.value, str))
        except msgspec.ValidationError as error:
            raise ConfigError(f"{setting.source}: {'.'.join(setting.path)}: {error}") from error
        branch = tree
        for name in setting.path[:-1]:
            branch = branch.setdefault(name, {})
        branch[setting.path[-1]] = value
    for name, database in tree.get("database", {}).items():
        if lacking := [key for key in DatabaseServer.__struct_fields__ if key not in database]:
            raise ConfigError(f"[database.{name}] lacks {' and '.join(lacking)}")
    return msgspec.convert(tree, _Settings)


def _kind_of(setting: _Setting) -> Any:
    """The type that this setting must have."""
    kind: Any = _Settings
    for depth, name in enumerate(setting.path):
        if get_origin(kind) is dict:
            kind = get_args(kind)[1]
            continue
        known = {one.name: one.type for one in msgspec.structs.fields(kind)} if _is_struct(kind) else {}
        if name not in known:
            unknown = ".".join(setting.path[: depth + 1])
            near = difflib.get_close_matches(name, known, n=1)
            meant = f"; did you mean {'.'.join((*setting.path[:depth], near[0]))}?" if near else ""
            raise ConfigError(f"{setting.source}: there is no setting {unknown}{meant}")
        kind = known[name]
    if _is_struct(kind) or get_origin(kind) is dict:
        raise ConfigError(f"{setting.source}: {'.'.join(setting.path)} is a section, not a setting")
    return kind


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Struct)


def _new_key() -> tuple[str, str]:
    return secrets.token_hex(4), Fernet.generate_key().decode()


def _lines(path: Path) -> list[tuple[str, str]]:
    try:
        if path.stat().st_mode & 0o077:
            raise ConfigError(f"the keys in {path} can be read by others: chmod 600 {path}")
        lines = [line.split() for line in path.read_text("ascii").splitlines() if line.strip() and line[0] != "#"]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the keys in {path} cannot be read: {error}") from error
    if not lines or any(len(line) != 2 for line in lines) or len({line[0] for line in lines}) < len(lines):
        raise ConfigError(f"the keys in {path} are damaged: each line is an id of its own and a key")
    return [(key_id, key) for key_id, key in lines]


def _write(path: Path, keys: list[tuple[str, str]], *, replace: bool) -> None:
    """All or nothing, readable by the owner only. Without `replace` the first of two processes wins."""
    text = "# The first key seals secrets, all open them. Keep a copy, but not beside the backups.\n"
    text += "".join(f"{key_id} {key}\n" for key_id, key in keys)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".keys-")  # mode 600 from the beginning
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            Path(name).replace(path)
        else:
            with suppress(FileExistsError):
                path.hardlink_to(name)
    finally:
        Path(name).unlink(missing_ok=True)
