"""Pictures of sessions over HTTP, for the page: as they are kept, small, or all that led to one."""

from __future__ import annotations

import io
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import FileResponse, Response
from PIL import Image
from starlette.background import BackgroundTask

from inkontext.errors import InKontextError
from inkontext.safety.pictures import open_image

if TYPE_CHECKING:
    from inkontext.server.ui.desk import Desk

# A turn never changes, and the address has the time of its file.
_FOREVER = {"Cache-Control": "private, max-age=31536000, immutable"}


def pictures_of(desk: Desk) -> APIRouter:
    """`/pictures/NAME/TURN.png`, `/pictures/NAME/TURN.webp?side=PIXELS` and `/pictures/NAME/TURN.zip`."""
    router = APIRouter(prefix="/pictures", include_in_schema=False)

    @router.get("/{name}/{turn}.png")
    def whole(name: str, turn: int) -> FileResponse:
        try:
            path = desk.picture_file(name, turn)
        except InKontextError as error:
            raise HTTPException(404, str(error)) from error
        return FileResponse(path, filename=f"{name}-{turn}.png", headers={"Cache-Control": "no-cache"})

    @router.get("/{name}/{turn}.webp")
    def small(name: str, turn: int, side: Annotated[int, Query(ge=16, le=2048)] = 1600) -> Response:
        try:
            image = open_image(desk.picture_file(name, turn))
        except InKontextError as error:
            raise HTTPException(404, str(error)) from error
        return Response(_webp(image, side), media_type="image/webp", headers=_FOREVER)

    @router.get("/{name}/{turn}.zip")
    def story(name: str, turn: int) -> FileResponse:
        folder = TemporaryDirectory(prefix="inkontext-")
        try:
            path = desk.export(name, turn, Path(folder.name))
        except InKontextError as error:
            folder.cleanup()
            raise HTTPException(409, str(error)) from error
        return FileResponse(path, filename=path.name, background=BackgroundTask(folder.cleanup))

    return router


def _webp(image: Image.Image, side: int) -> bytes:
    """The picture, reduced where it is longer than `side`; without loss where it is not."""
    whole = max(image.size) <= side
    shown = image if whole else image.copy()
    if not whole:
        shown.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    profile = image.info.get("icc_profile")
    shown.save(buffer, "WEBP", lossless=whole, quality=100 if whole else 88, method=2, icc_profile=profile)
    return buffer.getvalue()
