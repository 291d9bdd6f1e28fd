"""`make try C=pendo`: a simulated vendor, a configuration and a catalog for it, and the lines to paste.

The vendor listens on 127.0.0.1, where nobody else reaches it; containers do with `--network host`.
"""

from __future__ import annotations

import argparse
import json
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from test_kit.catalogs import configured

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
#: What `python -m simulators` gets, so that the simulated present is today's
VENDORS = {
    "pendo": ("--port", "8101", "--now", "real"),
    "customerio": ("--port", "8102"),
    "heap": ("--port", "8103", "--serve"),
}
#: The lines to paste. Each stands alone, and runs in bash from the root of the repository.
_LINES = """\
check
    {program} check --config {folder}/config.json
discover
    {program} discover --config {folder}/config.json
read all streams; the messages go into a file
    {program} read --config {folder}/config.json --catalog {folder}/catalog.json >{folder}/messages.jsonl
read again from there: the states of the first read, then what is new since
    jq -c 'select(.type == "STATE").state' {folder}/messages.jsonl | jq -s . >{folder}/state.json
    {program} read --config {folder}/config.json --catalog {folder}/catalog.json --state {folder}/state.json
a catalog of your own: of some streams, for example
    {program} discover --config {folder}/config.json | {catalog} >{folder}/one.json
    {program} read --config {folder}/config.json --catalog {folder}/one.json
the same with Docker (once: make images)
    {docker} check --config /config/config.json
    {docker} discover --config /config/config.json
    {docker} read --config /config/config.json --catalog /config/catalog.json
    {docker} read --config /config/config.json --catalog /config/catalog.json --state /config/state.json
airbyte-serverless
    make serverless-env
    (cd {folder} && {clients}/serverless/.venv/bin/abs run {vendor})
PyAirbyte, into a DuckDB file
    make pyairbyte-env
    AIRBYTE_OFFLINE_MODE=1 {clients}/pyairbyte/.venv/bin/python {folder}/pyairbyte_sync.py
"""
#: A configured catalog from a discovered one; {choice} filters streams
CATALOG = (
    "jq -c 'select(.catalog) | {streams: [.catalog.streams[] | CHOICE"
    '{stream: ., sync_mode: .supported_sync_modes[-1], destination_sync_mode: "append"}]}\''
)
_PYAIRBYTE = '''\
"""PyAirbyte reads all streams into a DuckDB file."""

import airbyte as ab

source = ab.get_source({name!r}, config={config!r}, local_executable={program!r}, install_if_missing=False)
source.check()
source.select_all_streams()
result = source.read(cache=ab.caches.DuckDBCache(db_path={database!r}))
print(result.processed_records, "records")
'''


def main() -> int:
    """Runs the vendor until Ctrl-C. The exit code is 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("vendor", nargs="?", default="")
    parser.add_argument("--folder", type=Path, help="where the files go; default: .try/VENDOR")
    parser.add_argument(
        "--size", default="demo", help="amount of simulated data (%(default)s); see simulators/README.md"
    )
    parser.add_argument("--port", help="the port of the simulated vendor; 0 takes a free one")
    options = parser.parse_args()
    if options.vendor not in VENDORS:
        sys.exit(f"make try needs C, one of {', '.join(VENDORS)}. For example: make try C=pendo")
    arguments = [*VENDORS[options.vendor], "--size", options.size, *(("--port", options.port) if options.port else ())]
    command = [sys.executable, "-m", "simulators", options.vendor, *arguments]
    # in a session of its own, so that Ctrl-C reaches it only after this process has said so
    vendor = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: vendor.terminate())
    assert vendor.stdout is not None
    url, config = vendor.stdout.readline(), vendor.stdout.readline()
    if not config:
        code = vendor.wait() or 1  # it has said on stderr what is wrong
        if code > 0 and options.port is None:
            print(f'On a free port: make try C={options.vendor} ARGS="--port 0"', file=sys.stderr)
        return code
    try:
        folder = (options.folder or ROOT / ".try" / options.vendor).absolute()
        write_files(folder, options.vendor, json.loads(config))
        print(f"The simulated {options.vendor} is {url.strip()}, until Ctrl-C.")
        print(f"Paste these lines into another terminal, in {ROOT}:\n")
        print(lines(folder, options.vendor), flush=True)
        vendor.wait()
    finally:
        vendor.terminate()
    return 0


def write_files(folder: Path, vendor: str, config: dict[str, Any]) -> None:
    """Writes what the lines name, readable for the user of a container."""
    program = str(BIN / f"source-{vendor}")
    connection = {
        "source": {"executable": shlex.quote(program), "config": config},
        "destination": {"connector": "print", "config": {}},
        "remote_runner": {"type": "cloud_run_job", "config": {}},
    }
    sync = _PYAIRBYTE.format(
        name=f"source-{vendor}", config=config, program=program, database=str(folder / f"{vendor}.duckdb")
    )
    write(folder / "config.json", json.dumps(config, indent=2) + "\n")
    write(folder / "catalog.json", json.dumps(configured(discovered(program, folder / "config.json"))) + "\n")
    write(folder / "connections" / f"{vendor}.yaml", yaml.safe_dump(connection, sort_keys=False))
    write(folder / "pyairbyte_sync.py", sync)


def discovered(program: str, config: Path) -> dict[str, Any]:
    """The catalog that the connector offers."""
    done = subprocess.run([program, "discover", "--config", config], stdout=subprocess.PIPE, check=False)
    for line in done.stdout.splitlines():
        message = json.loads(line)
        if message["type"] == "CATALOG":
            return dict(message["catalog"])
    if done.returncode in (-signal.SIGINT, -signal.SIGTERM, 128 + signal.SIGINT, 128 + signal.SIGTERM):
        sys.exit("Stopped.")
    sys.exit(f"discover failed:\n{done.stdout.decode()}")


def lines(folder: Path, vendor: str) -> str:
    """The lines to paste, each with four blanks before it, under what they do."""
    mounted = shlex.quote(f"{folder}:/config:ro")
    return _LINES.format(
        vendor=vendor,
        folder=_shown(folder),
        program=_shown(BIN / f"source-{vendor}"),
        clients=shlex.quote(str(ROOT / "integration_tests" / "clients")),
        catalog=CATALOG.replace("CHOICE", f'select(.name == "{_FIRST[vendor]}") | '),
        docker=f"docker run --rm --network host -v {mounted} source-{vendor}:dev",
    )


#: A stream of each for the catalog of one's own
_FIRST = {"pendo": "pages", "customerio": "campaigns", "heap": "users"}


def _shown(path: Path) -> str:
    """As short as it can be for a shell in the repository."""
    return shlex.quote(str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path))


def write(path: Path, content: str) -> None:
    """Writes a file that the user of a container can read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    path.chmod(0o644)


if __name__ == "__main__":
    sys.exit(main())
