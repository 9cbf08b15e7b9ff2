"""`vultus ui`: the web page, alone."""

import ipaddress
import secrets
from pathlib import Path
from typing import Annotated

import typer

from vultus.cli import options
from vultus.cli.parts import gallery_address, lasting_runtime, make_recognizer
from vultus.cli.serve import CPU_PROVIDER, Provider
from vultus.defaults import DEFAULT_DETECTOR
from vultus.errors import InputError


def ui(
    *,
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="The port; 0 takes a free one.")
    ] = 7860,
    gallery: options.GalleryFile = None,
    key: Annotated[
        str | None,
        typer.Option(
            "--key",
            envvar="VULTUS_UI_KEY",
            metavar="KEY",
            help="The access key; by default a new one, which is printed.",
            show_default=False,
        ),
    ] = None,
    insecure_no_auth: Annotated[
        bool,
        typer.Option(
            "--insecure-no-auth", help="Ask for no key; only for this computer, at a loopback address."
        ),
    ] = False,
    reports: Annotated[
        list[Path] | None,
        typer.Option(
            "--reports",
            metavar="DIR",
            help="Show the report in this folder, or those in its sub-folders; may be repeated.",
            show_default=False,
        ),
    ] = None,
    detector: options.DetectorName = DEFAULT_DETECTOR,
    embedder: options.EnrolledName = None,
    min_similarity: options.MinSimilarity = None,
    threads: options.Threads = None,
    runtime: options.RuntimeName = "auto",
    provider: Provider = CPU_PROVIDER,
) -> None:
    """Open the web page: detect, compare, enrol, recognise, report; in English and Chinese.

    Example: vultus ui

    Example: vultus ui --host 0.0.0.0 --port 8000 --gallery people.db --reports runs/
    """
    if insecure_no_auth and not _is_loopback(host):
        raise InputError(
            f"--insecure-no-auth listens on a loopback address only, not on {host}: anybody who reaches it "
            "could read and delete everybody. Leave it out, and give the key to those who may"
        )
    if key is not None and len(key) < 16:
        raise InputError(
            f"--key must have at least 16 characters, got {len(key)}: it is all that keeps others out"
        )
    shown = _with_reports(reports or [])
    from vultus.ui.serving import serve  # Gradio takes seconds to load

    with make_recognizer(
        gallery=gallery_address(gallery),
        detector=detector,
        embedder=embedder,
        min_similarity=min_similarity,
        threads=threads,
        runtime=lasting_runtime(runtime, provider=provider),
        providers=[provider],
    ) as recognizer:
        serve(
            recognizer,
            host=host,
            port=port,
            key=None if insecure_no_auth else key or secrets.token_urlsafe(32),
            reports=shown,
            announce=lambda address: typer.echo(f"Vultus is at {address} (stop with Ctrl+C)"),
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name: who knows where it leads
        return False


def _with_reports(folders: list[Path]) -> list[Path]:
    """The folders that hold a report, themselves or in a folder below.

    Raises:
        InputError: there is none in one of them.
    """
    found = []
    for folder in folders:
        here = sorted(path.parent for path in folder.rglob("report.json"))
        if not here:
            raise InputError(
                f"{folder} holds no report.json: vultus evaluate writes one with --report {folder}"
            )
        found += here
    return found
