"""`inkontext ui`: the page where editing is a conversation."""

from __future__ import annotations

import secrets
import socket
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from inkontext.cli import options as o

_FIRST, _LAST = 7860, 7899  # ports that are tried


def ui(
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 lets other machines in.")] = "127.0.0.1",
    port: Annotated[int | None, typer.Option(help="By default the first free one from 7860 on.")] = None,
    sessions: Annotated[Path, typer.Option(help="Folder where the conversations are kept.")] = Path(
        "inkontext-sessions"
    ),
    study: Annotated[
        Path | None, typer.Option(help="A preference study, served at /preference/ beside the page.")
    ] = None,
    resolution: o.Resolution = None,
    context_resolution: o.ContextResolution = None,
    browser: Annotated[bool, typer.Option(help="Open the page in the browser.")] = True,
    model: o.Model = None,
    device: o.Device = None,
    dtype: o.Dtype = None,
    autoencoder: o.Autoencoder = None,
    text: o.Text = None,
    embedder: o.Embedder = None,
) -> None:
    """Start the page where a picture is edited in a conversation."""
    from inkontext.errors import OptionError

    # What is missing or taken should not wait for the model to load.
    sides = (resolution, context_resolution)
    o.check_resolutions(*sides)
    try:
        import gradio  # noqa: F401
        import uvicorn
    except ImportError as error:
        raise OptionError("the page needs more packages; install them with: pip install 'inkontext[ui]'") from error
    door = _listen(host, port)
    if sessions.exists() and not sessions.is_dir():
        raise OptionError(f"'{sessions}' is a file; name a folder with --sessions")
    from inkontext.cli.likeness import load_embedder
    from inkontext.cli.places import check_folder
    from inkontext.server.app import create_app

    check_folder(sessions)
    own = load_embedder(embedder)
    key = secrets.token_urlsafe(16)
    app = create_app(
        o.load(model, device, dtype, autoencoder, text, *sides), sessions,
        study=None if study is None else (study, key), embedder=own, sides=sides,
    )  # fmt: skip
    seen = "localhost" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
    address = f"http://{seen}:{door.getsockname()[1]}/"
    print(f"{address}  (conversations are kept in {sessions}; Ctrl-C ends)", flush=True)
    if study is not None:
        print(f"voting: {address}preference/  results: {address}preference/results?key={key}", flush=True)
    if browser:
        import threading
        import webbrowser

        threading.Timer(1.0, webbrowser.open, (address,)).start()
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2))
    with suppress(KeyboardInterrupt):  # uvicorn has shut down and passes it on
        server.run(sockets=[door])


def _listen(host: str, port: int | None) -> socket.socket:
    """A listening socket. Raises OptionError where the port is taken or the address is not this machine's."""
    from inkontext.errors import OptionError

    if port is not None and not 0 <= port <= 65535:
        raise OptionError(f"--port must be from 0 to 65535, not {port}")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    reason: OSError | None = None
    for candidate in range(_FIRST, _LAST + 1) if port is None else (port,):
        door = socket.socket(family, socket.SOCK_STREAM)
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            door.bind((host, candidate))
            door.listen(128)  # who comes before the server is ready waits, and is not refused
            return door
        except OSError as error:
            door.close()
            reason = error
    asked = f"{_FIRST} to {_LAST}" if port is None else str(port)
    why = reason.strerror if reason else "unknown"
    raise OptionError(f"cannot listen at {host} on port {asked} ({why}); choose another --port or --host")
