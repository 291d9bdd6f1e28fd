"""Hooks of pytest for `airbyte-cdk connector test` and `airbyte-cdk image test`; each connector's conftest.py has them.

Airbyte's harness reads the configurations that acceptance-test-config.yml names. Two of them are made here, for the
connector's simulator, which runs as long as the tests: `.tmp/config.json`, and `.tmp/refused.json` with a key that the
vendor refuses. Tests of `secrets/config.json` run where that file exists. In other runs of pytest the hooks do nothing.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

HARNESS = "airbyte_cdk.test.standard_tests.pytest_hooks"
#: Compares with what Airbyte's registry has under the name; test_backward_compatibility.py compares with our releases
NOT_OURS = "test_docker_image_spec_backward_compatibility"
NO_IMAGE = "needs a Docker engine and the image {}: make images"
_VENDOR = pytest.StashKey[ExitStack]()


def pytest_configure(config: pytest.Config) -> None:
    """Starts the simulator and writes the configurations. The image is what `make images` builds, if none is named."""
    if not config.pluginmanager.has_plugin(HARNESS):
        return
    from harness.runner import unlimited  # a run of other tests needs none of these
    from harness.suite import connectors
    from harness.vendors import running

    connector = next(each for each in connectors() if each.name == config.rootpath.name)
    stack = config.stash[_VENDOR] = ExitStack()
    vendor = stack.enter_context(running(connector, host=_reachable()))
    stack.enter_context(unlimited(connector))
    folder = config.rootpath / ".tmp"
    folder.mkdir(exist_ok=True)
    for name, content in (("config", vendor.config), ("refused", vendor.wrong_config)):
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    config.option.importmode = (
        "prepend"  # importlib cannot import the harness's test from a folder whose name has a dot
    )
    config.option.connector_image = config.option.connector_image or connector.image
    config.option.read_from_streams = config.option.read_from_streams or "all"


def pytest_unconfigure(config: pytest.Config) -> None:
    """Ends the simulator; fails if it met a request that it does not understand."""
    stack = config.stash.get(_VENDOR, None)
    if stack is not None:
        stack.close()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out what cannot run here."""
    if not config.pluginmanager.has_plugin(HARNESS):
        return
    has_secrets = (config.rootpath / "secrets" / "config.json").exists()
    left_out = [
        item
        for item in items
        if item.name.startswith(NOT_OURS) or (item.get_closest_marker("requires_creds") and not has_secrets)
    ]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)
    image = config.option.connector_image
    if not _has_image(image):
        for item in items:
            if item.get_closest_marker("image_tests"):
                item.add_marker(pytest.mark.skip(reason=NO_IMAGE.format(image)))


def _reachable() -> str:
    """Docker's bridge, where containers reach it, else loopback."""
    return "172.17.0.1" if Path("/sys/class/net/docker0").exists() else "127.0.0.1"


def _has_image(name: str) -> bool:
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "image", "inspect", name], capture_output=True, check=False).returncode == 0
