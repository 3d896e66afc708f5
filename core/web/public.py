"""The routes that anybody may call, in one short list; a plugin lists its own in its manifest. Everything else needs a
permission."""

from typing import Final

SECRET: Final = "{token:str}"
"""Stands in a path for what opens something by itself: it is in no log."""

KEY_MARK: Final = "/link/"
"""Behind it stands such a token in the public paths of plugins."""

PUBLIC_ROUTES: Final[frozenset[tuple[str, str]]] = frozenset(
    {
        ("GET", "/login"),
        ("POST", "/login"),
        ("GET", "/login/second"),
        ("POST", "/login/second"),
        ("POST", "/login/passkey"),
        ("POST", "/login/passkey/options"),
        ("GET", "/forgot"),
        ("POST", "/forgot"),
        ("GET", "/welcome/{token:str}"),
        ("POST", "/welcome/{token:str}"),
        ("GET", "/email/{token:str}"),
        ("POST", "/email/{token:str}"),
        ("GET", "/static/{file_path:path}"),
        ("GET", "/health"),
        ("POST", "/api/v1/gateways/{gateway:str}/notifications"),
        ("GET", "/api/v1/docs"),
        ("GET", "/api/v1/openapi.json"),
        ("GET", "/api/v1"),
        ("GET", "/api/v1/{path:str}"),
    }
)
_WITH_SECRETS: Final = tuple({path.removesuffix(SECRET) for _, path in PUBLIC_ROUTES if path.endswith(SECRET)})


def without_secret(path: str) -> str:
    """The path as it may be written down: without the link's token."""
    start, mark, token = path.partition(KEY_MARK)
    if token:
        return f"{start}{mark}…"
    return next((f"{start}…" for start in _WITH_SECRETS if path.startswith(start)), path)
