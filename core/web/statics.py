"""Serving static files: by the hash in their address for good, packed where that is smaller."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from litestar import Request, Response
from litestar.params import FromPath

from core.errors import NotFound
from core.web.routing import PUBLIC, get

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from core.web.assets import Assets

FOR_GOOD = "public, max-age=31536000, immutable"
FOR_NOW = "public, max-age=60"


def static_route(assets: Assets) -> HTTPRouteHandler:
    """/static/VERSION/NAME."""

    @get("/static/{file_path:path}", permission=PUBLIC)
    async def static_file(request: Request[Any, Any, Any], file_path: FromPath[PurePath]) -> Response[bytes]:
        version, _, name = str(file_path).lstrip("/").partition("/")
        found = assets.find(version, name)
        if found is None:
            raise NotFound(f"static file {name}")
        asset, kept = found
        headers = {"Cache-Control": FOR_GOOD if kept else FOR_NOW, "Vary": "Accept-Encoding"}
        body = asset.body
        if asset.gzipped is not None and "gzip" in request.headers.get("accept-encoding", ""):
            body = asset.gzipped
            headers["Content-Encoding"] = "gzip"
        return Response(body, media_type=asset.media_type, headers=headers)

    return static_file
