"""`check`: the status is the first line, since a person waits for it; the log is short and comes behind."""

from __future__ import annotations

import logging

import pytest
from kit_toys import CommandLine, ToySource, sleep_visibly
from source_kit import activity
from source_kit.errors import config_error
from source_kit.options import Options
from test_kit.messages import Message, logs


class Refused(ToySource):
    """Tries again, warns, waits, and fails."""

    def probe(self, logger: logging.Logger, config: Options) -> str | None:
        logger.info("trying again")
        logger.warning("a slow vendor")
        sleep_visibly(0.3)
        raise config_error("The key is wrong.", "status 401")


def _check(toy: CommandLine, *flags: str) -> tuple[int, list[Message]]:
    return toy.start(Refused(), "check", *flags, "--config", toy.file("config.json", {})).finish()


def test_the_sentence_of_a_failed_check_comes_before_its_log(toy: CommandLine) -> None:
    code, messages = _check(toy)

    assert code == 0
    assert messages[0]["connectionStatus"] == {"status": "FAILED", "message": "The key is wrong."}
    assert logs(messages[1:]).splitlines() == [
        "WARN: a slow vendor",
        "ERROR: Check failed: status 401",
        "ERROR: Check failed",
    ]


def test_a_debug_log_has_the_retries_as_they_happen(toy: CommandLine) -> None:
    _, messages = _check(toy, "--debug")

    assert "INFO: trying again" in logs(messages)
    assert messages[-1]["type"] == "CONNECTION_STATUS"


def test_a_check_that_takes_long_says_what_it_waits_for(toy: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activity, "HEARTBEAT_SECONDS", 0.05)

    _, messages = _check(toy)

    said, _, _ = logs(messages).partition("WARN: ")
    assert "INFO: Still checking: waiting 0 s: the vendor is slow (for 0 s)" in said
