"""`vultus serve`: the REST service, with the web page on request."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vultus.cli import options
from vultus.cli.images import stderr
from vultus.cli.parts import gallery_address, gallery_path, lasting_runtime, make_recognizer
from vultus.defaults import DEFAULT_DETECTOR
from vultus.errors import InputError

if TYPE_CHECKING:
    from fastapi import FastAPI

    from vultus.server import Settings

SECURITY, LOAD = "Security", "Load"
CPU_PROVIDER = "CPUExecutionProvider"
Provider = Annotated[
    str, typer.Option("--provider", help="The execution provider, if ONNX Runtime runs the networks.")
]


def serve(
    *,
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="The port; 0 takes a free one.")
    ] = 8000,
    gallery: options.GalleryFile = None,
    with_ui: Annotated[bool, typer.Option("--ui", help="Also the web page, under /ui.")] = False,
    doors: Annotated[
        Path | None,
        typer.Option("--doors", metavar="FILE", help="Who may pass where: a TOML file.", show_default=False),
    ] = None,
    webhook: Annotated[
        str | None,
        typer.Option(
            "--webhook",
            metavar="URL",
            help="Told every decision, signed with VULTUS_WEBHOOK_SECRET.",
            show_default=False,
        ),
    ] = None,
    insecure_no_auth: Annotated[
        bool,
        typer.Option(
            "--insecure-no-auth",
            help="Ask for no key; only at a loopback address.",
            rich_help_panel=SECURITY,
        ),
    ] = False,
    tls_cert: Annotated[
        Path | None,
        typer.Option(
            "--tls-cert", metavar="FILE", help="Speak TLS: the certificate.", rich_help_panel=SECURITY
        ),
    ] = None,
    tls_key: Annotated[
        Path | None,
        typer.Option("--tls-key", metavar="FILE", help="The certificate's key.", rich_help_panel=SECURITY),
    ] = None,
    cors_origin: Annotated[
        list[str] | None,
        typer.Option(
            "--cors-origin",
            metavar="URL",
            help="A web site whose pages may call the service; may be repeated.",
            rich_help_panel=SECURITY,
        ),
    ] = None,
    rate: Annotated[
        float,
        typer.Option(
            "--rate", min=0, help="Requests a second that one key may make; 0: any.", rich_help_panel=SECURITY
        ),
    ] = 50.0,
    workers: Annotated[
        int,
        typer.Option("--workers", min=1, help="Processes, which share the gallery.", rich_help_panel=LOAD),
    ] = 1,
    max_batch: Annotated[
        int,
        typer.Option(
            "--max-batch", min=1, help="Images of several requests run together.", rich_help_panel=LOAD
        ),
    ] = 16,
    at_once: Annotated[
        int, typer.Option("--at-once", min=1, help="Requests worked on at once.", rich_help_panel=LOAD)
    ] = 16,
    max_waiting: Annotated[
        int,
        typer.Option(
            "--max-waiting", min=0, help="Requests that may wait; one more gets 429.", rich_help_panel=LOAD
        ),
    ] = 112,
    deadline_s: Annotated[
        float,
        typer.Option("--deadline-s", min=0.1, help="What takes longer gets 503.", rich_help_panel=LOAD),
    ] = 30.0,
    detector: options.DetectorName = DEFAULT_DETECTOR,
    embedder: options.EnrolledName = None,
    min_similarity: options.MinSimilarity = None,
    threads: options.Threads = None,
    runtime: options.RuntimeName = "auto",
    provider: Provider = CPU_PROVIDER,
) -> None:
    """Serve the gallery over HTTP. The first start prints a key for everything, this once.

    Example: vultus serve

    Example: vultus serve --host 0.0.0.0 --tls-cert cert.pem --tls-key key.pem --ui

    Example: vultus serve --doors doors.toml --workers 4

    Example: vultus serve --provider CUDAExecutionProvider
    """
    from vultus.server import Settings
    from vultus.server.settings import secret_from_environment

    if (tls_cert is None) != (tls_key is None):
        raise InputError("--tls-cert and --tls-key belong together: give both")
    if with_ui and workers > 1:
        raise InputError("the web page keeps its sessions in one process: use --workers 1 with --ui")
    where = gallery_address(gallery)
    settings = Settings(
        store=service_file(gallery),
        require_key=not insecure_no_auth,
        host=host,
        threads=at_once,
        max_batch=max_batch,
        max_waiting=max_waiting,
        deadline_s=deadline_s,
        requests_per_s=rate / workers or None,
        cors_origins=tuple(cors_origin or ()),
        doors=doors,
        webhook_url=webhook,
        webhook_secret=secret_from_environment(),
        is_tls=tls_cert is not None,
    )
    engine = {
        "gallery": where,
        "detector": detector,
        "embedder": embedder,
        "min_similarity": min_similarity,
        "threads": threads,
        "runtime": lasting_runtime(runtime, provider=provider),
        "providers": [provider],
    }
    _print_first_key(settings)
    _warn(settings)
    _run(settings, engine, port=port, workers=workers, with_ui=with_ui, tls=(tls_cert, tls_key))


def service_file(gallery: str | Path | None) -> Path:
    """Where keys and logs are: beside the gallery's file; for a gallery in a server, in the data folder."""
    from vultus.access.store import store_path
    from vultus.gallery import is_address

    is_in_server = gallery is not None and is_address(gallery)
    return store_path(gallery_path(None if is_in_server else gallery))


def _run(
    settings: Settings,
    engine: dict[str, Any],
    *,
    port: int,
    workers: int,
    with_ui: bool,
    tls: tuple[Path | None, Path | None],
) -> None:
    from uvicorn.supervisors import Multiprocess

    from vultus.server.listen import Server, listening, make_config, to_environment

    with listening(settings.host, port) as listener:
        scheme = "https" if settings.is_tls else "http"
        shown = f"[{settings.host}]" if ":" in settings.host else settings.host
        address = f"{scheme}://{shown}:{listener.getsockname()[1]}"
        certificate, key = tls
        if workers > 1:
            to_environment(settings, engine)
            app = f"{__name__}:app_from_environment"
            config = make_config(app, settings, port=port, workers=workers, certificate=certificate, key=key)
            _announce(address)
            with TemporaryDirectory(prefix="vultus-") as folder:
                os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", folder)  # where workers add up their counts
                Multiprocess(config, sockets=[listener]).run()
            return
        with make_recognizer(**engine) as recognizer:
            made = _app(settings, recognizer, with_ui=with_ui)
            config = make_config(made, settings, port=port, certificate=certificate, key=key)
            _announce(f"{address}/ui" if with_ui else address)
            Server(config, on_ending=partial(_let_go, made, with_ui=with_ui)).run(sockets=[listener])


def app_from_environment() -> FastAPI:
    """The application of a worker process: one of several, with models of its own and the gallery of all."""
    from vultus.server.listen import from_environment

    settings, engine = from_environment()
    return _app(settings, make_recognizer(**engine), with_ui=False)


def _app(settings: Settings, recognizer: Any, *, with_ui: bool) -> FastAPI:
    from vultus.server import create_app

    app = create_app(settings, recognizer)
    if with_ui:
        from vultus.cli.serve_page import mount_page

        mount_page(app)
    return app


def _let_go(app: FastAPI, *, with_ui: bool) -> None:
    if with_ui:
        from vultus.ui import let_go

        let_go(app)


def _print_first_key(settings: Settings) -> None:
    from vultus.access.keys import ApiKeys, Scope
    from vultus.access.store import Store

    store = Store(settings.store)
    keys = ApiKeys(store)
    if settings.require_key and not keys.list():
        _, text = keys.create("first run", [Scope.ADMIN])
        typer.echo(f"key for everything, shown this once: {text}")
    store.close()


def _warn(settings: Settings) -> None:
    from vultus.access.webhook import is_loopback

    if not settings.require_key:
        stderr.print("warning: everybody on this machine may do everything (no keys)", style="yellow")
    if not settings.is_tls and not is_loopback(settings.host):
        stderr.print(
            "warning: keys and faces travel in the clear; use --tls-cert, or a proxy that speaks TLS",
            style="yellow",
            highlight=False,
        )


def _announce(address: str) -> None:
    typer.echo(f"listening on {address}")
