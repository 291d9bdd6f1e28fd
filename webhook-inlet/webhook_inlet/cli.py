"""The command `webhook-inlet`."""

from __future__ import annotations

import argparse
import logging
import re
import secrets
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from webhook_inlet import config as configuration
from webhook_inlet.config import LONGEST_NAME, Config
from webhook_inlet.config_mistakes import ConfigMistakes
from webhook_inlet.store import INLET_NAME

OK, FAILED, MISTAKEN = 0, 1, 2
_NUMBER = re.compile(r"[0-9]{1,9}")
_BASE = re.compile(r"https?://[^\s/?#]+(/[^\s?#]*)?")


def run(arguments: Sequence[str] | None = None) -> None:
    """The console script. Exit codes: 0 in order, 1 a failure at run time, 2 mistakes in configuration or call."""
    sys.exit(main(arguments))


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns its exit code. Results go to stdout, everything else to stderr."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    options = _parser().parse_args(arguments)
    if options.command == "new":
        return _new(options.name, options.source)
    try:
        config = configuration.load(options.config)
    except ConfigMistakes as error:
        for mistake in error.mistakes:
            _say(mistake, sys.stderr)
        return MISTAKEN
    if options.command == "check":
        return _check(config)
    if options.command == "url":
        return _url(config, options.name, options.base)
    return _serve(options.config, config, options.host, options.port, options.fd)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="webhook-inlet", description="Receives webhooks and keeps them until the connectors have read them."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="take posts; SIGHUP reads the configuration again, SIGTERM drains")
    serve.add_argument("--host", default="0.0.0.0", help="default: 0.0.0.0")  # noqa: S104 - in a container
    serve.add_argument("--port", type=_port, default=8080, help="default: 8080; 0 takes a free one")
    serve.add_argument(
        "--fd", type=_descriptor, help="a listening socket that was handed on, in place of host and port"
    )
    check = commands.add_parser("check", help="say every mistake of the configuration, and try the store")
    url = commands.add_parser("url", help="print what to paste at the sender's page")
    url.add_argument("name", help="the inlet's name")
    url.add_argument(
        "--base", type=_base, default="https://YOUR-HOST", help="the address under which the inlet is reached"
    )
    for command in (serve, check, url):
        command.add_argument("--config", type=Path, required=True, metavar="FILE")
    new = commands.add_parser("new", help="print an entry for the configuration, with a fresh path")
    new.add_argument("name", help="letters a-z, digits and hyphens")
    new.add_argument("--source", choices=["customerio", "pendo", "standard"], required=True)
    return parser


def _port(text: str) -> int:
    if not _NUMBER.fullmatch(text) or int(text) > 65535:
        raise argparse.ArgumentTypeError("must be a number between 0 and 65535")
    return int(text)


def _descriptor(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise argparse.ArgumentTypeError("must be the number of a file descriptor")
    return int(text)


def _base(text: str) -> str:
    if not _BASE.fullmatch(text):
        raise argparse.ArgumentTypeError("must be an address like https://hooks.example.com, without ? and #")
    return text


def _say(text: str, stream: TextIO | None = None) -> None:
    print(text, file=stream or sys.stdout, flush=True)


def _serve(file: Path, config: Config, host: str, port: int, fd: int | None) -> int:
    from webhook_inlet import server  # the other commands need none of it

    try:
        listener = _listener(host, port, fd)
    except OSError as error:
        place = f"file descriptor {fd}" if fd is not None else f"{host}:{port}"
        logging.error("%s cannot be listened on (%s). Choose another --host, --port or --fd.", place, error)
        return FAILED
    address = listener.getsockname()
    shown = f"[{address[0]}]" if ":" in address[0] else address[0]
    return server.run(file, config, listener, lambda: _say(f"listening on http://{shown}:{address[1]}"))


def _listener(host: str, port: int, fd: int | None) -> socket.socket:
    """A socket that listens already: posts that come while the store is opened wait, and are not refused."""
    from webhook_inlet.server import BACKLOG

    if fd is not None:
        listener = socket.socket(fileno=fd)
    else:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    try:
        if fd is None:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(BACKLOG)
        elif not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise OSError("it does not listen")
    except OSError:
        listener.close()
        raise
    return listener


def _check(config: Config) -> int:
    from webhook_inlet.store import StoreError
    from webhook_inlet.stores.opening import try_store

    for inlet in config.inlets:
        count = len(inlet.secrets)
        signed = f"{count} secret{'s' * (count > 1)}" if count else "no signature: whoever knows the path can post"
        _say(f"inlet {inlet.name}: {inlet.source}, {signed}")
    if len(config.read_token.get_secret_value()) < 16:
        _say("read_token: is short; `openssl rand -hex 32` makes one that nobody guesses.")
    try:
        _say(try_store(config.store))
    except StoreError as error:
        _say(f"store: {error}", sys.stderr)
        return FAILED
    _say("The configuration is valid.")
    return OK


def _url(config: Config, name: str, base: str) -> int:
    for inlet in config.inlets:
        if inlet.name == name:
            _say(f"{base.rstrip('/')}/in/{inlet.path.get_secret_value()}")
            return OK
    names = ", ".join(inlet.name for inlet in config.inlets)
    _say(f"There is no inlet {name} in the configuration; it has {names}.", sys.stderr)
    return MISTAKEN


_SECRET_NOTES = {
    "customerio": "the signing key of the reporting webhook: Customer.io shows it on the webhook's page",
    "pendo": "the secret of the webhook: Pendo shows it at Settings > Integrations > Webhooks",
    "standard": "the signing secret that the sender shows; it begins with whsec_",
}


def _new(name: str, source: str) -> int:
    if not INLET_NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        _say(f"The name must be of lower-case letters, digits and hyphens, {LONGEST_NAME} at most.", sys.stderr)
        return MISTAKEN
    variable = f"INLET_{name.upper().replace('-', '_')}_SECRET"
    _say(
        f"""\
# Add this entry to `inlets` of the configuration. Then:
# 1. `webhook-inlet url {name} --config FILE --base https://YOUR-HOST` prints the address to paste at the sender.
# 2. Put into the environment variable {variable}
#    {_SECRET_NOTES[source]}.
# 3. Start the inlet, or send it SIGHUP if it runs (a new environment variable needs a restart).
  - name: {name}
    source: {source}
    path: "{secrets.token_urlsafe(32)}"  # a part of the address; keep it secret
    secrets: ["${{{variable}}}"]
    signature: required"""
    )
    return OK
