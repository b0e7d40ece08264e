"""An edit under way in a thread of its own: where it stands, what it shows, and how to stop it."""

from __future__ import annotations

import base64
import io
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from PIL import Image

from inkontext.errors import Cancelled, InKontextError, is_out_of_memory, one_line
from inkontext.geometry import Size, frame_for
from inkontext.result import Callback, Progress

PREVIEW_SIDE: Final = 640  # pixels; a preview is looked at, not kept
_REST: Final = 6.0  # a preview is made again after so many times what it cost: at most 15 % of the time
_LEAST_REST: Final = 0.12  # seconds
_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True)
class Standing:
    """Where an edit stands.

    Attributes:
        phase: `waiting` for the model, `working`, then `done`, `cancelled` or `failed`.
        preview: the picture as it is guessed now, a data URI; empty before the first.
        told: what to tell at the end, one sentence.
    """

    phase: str = "waiting"
    step: int = 0
    steps: int = 0
    preview: str = ""
    told: str = ""

    @property
    def ended(self) -> bool:
        return self.phase in ("done", "cancelled", "failed")


class Job:
    """One edit. It goes on when nobody follows it, for a page may be closed and opened again.

    Attributes:
        said: the instruction.
    """

    def __init__(self, work: Callable[[Callback], str], model: threading.Lock, said: str, shape: Size) -> None:
        """
        Args:
            work: does it, with a callback for every step, and says what to tell.
            model: held while it works: there is one model, and it does one thing at a time.
            shape: (width, height) of the picture to come.
        """
        self.said, self._work, self._model = said, work, model
        scale = min(1.0, PREVIEW_SIDE / max(shape))
        self._shown: Size = (max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale)))
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self._version, self._standing = 0, Standing()
        self._next_preview = 0.0
        self._thread = threading.Thread(target=self._run, name="edit", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def cancel(self) -> None:
        """Stop at the next step."""
        self._stop.set()

    def join(self, timeout: float | None = None) -> None:
        self._thread.join(timeout)

    @property
    def standing(self) -> Standing:
        return self._standing

    def follow(self) -> Iterator[Standing]:
        """Where it stands, again whenever that has changed, until it has ended."""
        seen = -1
        while True:
            with self._changed:
                self._changed.wait_for(lambda seen=seen: self._version != seen)
                seen, standing = self._version, self._standing
            yield standing
            if standing.ended:
                return

    def _run(self) -> None:
        try:
            while not self._model.acquire(timeout=0.05):
                if self._stop.is_set():
                    raise Cancelled("cancelled")
            try:
                told = self._work(self._step)
            finally:
                self._model.release()
            self._tell(phase="done", told=told, preview="")
        except Cancelled:
            self._tell(phase="cancelled", told="cancelled; the picture is as it was")
        except InKontextError as error:
            self._tell(phase="failed", told=one_line(error))
        except Exception as error:  # noqa: BLE001 - a thread has nobody above it: told on the page, and logged
            if is_out_of_memory(error):
                self._tell(phase="failed", told="out of memory; begin with a smaller picture, or fewer references")
                return
            _LOG.exception("an edit failed")
            self._tell(phase="failed", told=f"the edit failed ({one_line(error)}); the terminal shows where")

    def _step(self, progress: Progress) -> bool:
        """The edit's callback."""
        if self._stop.is_set():
            return False
        preview = self._standing.preview
        began = time.monotonic()
        if began >= self._next_preview:
            preview = self._preview(progress.preview())
            cost = time.monotonic() - began
            self._next_preview = began + cost + max(_LEAST_REST, _REST * cost)
        self._tell(phase="working", step=progress.step, steps=progress.steps, preview=preview)
        return not self._stop.is_set()

    def _preview(self, canvas: Image.Image) -> str:
        """Without what pads the picture on its canvas, at its shape."""
        return data_uri(frame_for(self._shown, canvas.size).restore(canvas))

    def _tell(self, **changes: str | int) -> None:
        with self._changed:
            self._standing = replace(self._standing, **changes)  # type: ignore[arg-type]
            self._version += 1
            self._changed.notify_all()


def data_uri(image: Image.Image, side: int | None = None) -> str:
    """A picture as the `src` of an `img`, no longer than `side` pixels."""
    small = image.convert("RGBA" if image.mode in ("RGBA", "LA", "P") else "RGB")
    if side is not None:
        small.thumbnail((side, side))
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=85)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
