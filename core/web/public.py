"""The routes that anybody may call, in one short list. Everything else needs a permission."""

from typing import Final

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
        ("GET", "/api/v1/docs"),
        ("GET", "/api/v1/openapi.json"),
        ("GET", "/api/v1"),
        ("GET", "/api/v1/{path:str}"),
    }
)
