"""The web application: health, pictures, and the page at `/`."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI

from inkontext import __version__
from inkontext.pipeline import Pipeline
from inkontext.server.pictures import pictures_of
from inkontext.server.preference import router
from inkontext.server.ui.desk import PAGE_PIXELS, Desk
from inkontext.session import Embedder

# The page needs nothing of anybody else, and nobody else's page may hold it. Gradio compiles its templates in the
# browser, hence 'unsafe-eval'.
_POLICY: Final = (
    "default-src 'self'; img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; "
    "style-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; worker-src 'self' blob:; "
    "connect-src 'self' blob: data:; frame-ancestors 'self'; base-uri 'self'; form-action 'self'; object-src 'none'"
)
_HEADERS: Final = (
    (b"content-security-policy", _POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)


def create_app(
    pipeline: Pipeline, sessions: Path, *, study: tuple[Path, str] | None = None, most_pixels: int = PAGE_PIXELS,
    most_bytes: int = 200_000_000, embedder: Embedder | None = None,
    sides: tuple[int | None, int | None] = (None, None),
) -> FastAPI:  # fmt: skip
    """The application around a loaded model.

    Args:
        sessions: folder of the conversations.
        study: folder of a preference study to be voted on at `/preference/`, and the key to its results.
        most_pixels, most_bytes: of an uploaded picture.
        embedder: whose cosine is told beside the drift of every turn.
        sides: resolutions of conversations that begin here, of picture and context, as in `Session.new`.

    Raises:
        DataError: the study's folder holds none.
    """
    desk = Desk(pipeline, sessions, most_pixels, embedder, sides)

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        yield
        desk.close()

    # FastAPI's own documentation pages load their scripts from elsewhere.
    app = FastAPI(title="InKontext", version=__version__, docs_url=None, redoc_url=None, lifespan=life)
    app.state.desk = desk

    @app.get("/health")
    def health() -> dict[str, Any]:
        return {"status": "ok", "version": __version__, "model": pipeline.model}

    app.include_router(pictures_of(desk))
    if study is not None:
        app.include_router(router(*study), prefix="/preference")
    _mount_page(app, desk, most_bytes)
    app.add_middleware(_Headers)
    return app


def _mount_page(app: FastAPI, desk: Desk, most_bytes: int) -> None:
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported and when a page is made
    import gradio

    from inkontext.server.ui.page import build, look

    gradio.mount_gradio_app(
        app, build(desk), "/", footer_links=[], run_history=False, ssr_mode=False, enable_monitoring=False, pwa=False,
        mcp_server=False, max_file_size=most_bytes, show_error=True, **look(),
    )  # fmt: skip


Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class _Headers:
    """Adds the security headers to every answer, streamed ones included."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *_HEADERS]
            await send(message)

        await self.app(scope, receive, with_headers)
