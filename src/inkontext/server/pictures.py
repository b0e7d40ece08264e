"""Pictures of sessions over HTTP, for the page: as they are kept, or small."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import FileResponse, Response
from PIL import Image

from inkontext.errors import InKontextError
from inkontext.safety.pictures import open_image

if TYPE_CHECKING:
    from inkontext.server.ui.desk import Desk

# A turn never changes, and the address has the time of its file.
_FOREVER = {"Cache-Control": "private, max-age=31536000, immutable"}


def pictures_of(desk: Desk) -> APIRouter:
    """`/pictures/NAME/TURN.png` and `/pictures/NAME/TURN.webp?side=PIXELS`."""
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
