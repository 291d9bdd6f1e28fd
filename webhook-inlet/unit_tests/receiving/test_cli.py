"""The command line: exit codes, and what stands on which output."""

import errno
import os
import re
import socket
from pathlib import Path

import pytest
import yaml
from webhook_inlet.cli import main

PATH = "p0123456789012345678901"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "inlet.yaml"
    found.write_text(
        f"store: {{type: volume, path: {tmp_path / 'data'}}}\nread_token: a-token\ninlets:\n"
        f"  - {{name: prod, source: customerio, path: {PATH}, secrets: [s]}}\n",
        encoding="utf-8",
    )
    return found


def test_check_says_what_is_right_and_changes_nothing(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--config", str(file)]) == 0
    out = capsys.readouterr().out
    assert "inlet prod: customerio" in out
    assert "The configuration is valid." in out
    assert "a-token" not in out
    assert PATH not in out
    assert not (file.parent / "data").exists()


def test_check_says_every_mistake_on_stderr(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text("read_token: a\ninlets: 3\n", encoding="utf-8")
    assert main(["check", "--config", str(file)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert [line.split(":")[0] for line in shown.err.splitlines()] == ["store", "inlets"]


def test_check_says_that_the_store_cannot_be_used(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (file.parent / "data").write_text("a file, no folder", encoding="utf-8")
    assert main(["check", "--config", str(file)]) == 1
    assert "cannot be written" in capsys.readouterr().err


def test_check_says_that_a_folder_cannot_be_entered(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: str | Path, *_: object, **__: object) -> os.stat_result:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    (file.parent / "data").mkdir()
    stat = os.stat
    closed = str(file.parent / "data")
    monkeypatch.setattr(os, "stat", lambda path, **more: (refused if str(path) == closed else stat)(path, **more))
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert main(["check", "--config", str(file)]) == 1
    assert "cannot be written" in capsys.readouterr().err


def test_url_prints_what_to_paste(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["url", "prod", "--config", str(file), "--base", "https://hooks.example.com/"]) == 0
    assert capsys.readouterr().out == f"https://hooks.example.com/in/{PATH}\n"
    assert main(["url", "other", "--config", str(file)]) == 2
    assert capsys.readouterr().err == "There is no inlet other in the configuration; it has prod.\n"


@pytest.mark.parametrize("source", ["customerio", "pendo", "standard"])
def test_new_prints_an_entry_with_a_path_of_its_own(
    source: str, file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = []
    for _ in range(2):
        assert main(["new", "my-app", "--source", source]) == 0
        entries.append(capsys.readouterr().out)
    paths = [yaml.safe_load(entry)[0]["path"] for entry in entries]
    assert len(set(paths)) == 2
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", path) for path in paths)
    monkeypatch.setenv("INLET_MY_APP_SECRET", "whsec_MDEyMzQ1Njc4OWFiY2RlZg==")
    file.write_text(file.read_text(encoding="utf-8") + entries[0], encoding="utf-8")
    assert main(["check", "--config", str(file)]) == 0
    assert main(["new", "My_App", "--source", source]) == 2


def test_serve_says_why_it_cannot_listen(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["serve", "--config", str(file), "--host", "127.0.0.1", "--port", port]) == 1
    with pytest.raises(SystemExit) as ended:
        main(["serve", "--config", str(file), "--port", "70000"])
    assert ended.value.code == 2
    assert main(["serve", "--config", str(file), "--fd", "999"]) == 1
    with (file.parent / "plain").open("w", encoding="utf-8") as plain:
        assert main(["serve", "--config", str(file), "--fd", str(os.dup(plain.fileno()))]) == 1
    assert caplog.text.count("cannot be listened on") == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("serve --port abc", "must be a number between 0 and 65535"),
        ("serve --port -1", "must be a number between 0 and 65535"),
        ("serve --fd -1", "must be the number of a file descriptor"),
        ("serve --fd x", "must be the number of a file descriptor"),
        ("url prod --base hooks.example.com", "must be an address like https://hooks.example.com"),
        ("url prod --base https://", "must be an address like https://hooks.example.com"),
        ("url prod --base https://a/?b=c", "must be an address like https://hooks.example.com"),
    ],
)
@pytest.mark.slow
def test_a_wrong_argument_is_a_sentence(
    file: Path, capsys: pytest.CaptureFixture[str], arguments: str, words: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*arguments.split(), "--config", str(file)])
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_new_refuses_a_name_that_the_configuration_would_refuse(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("", "My_App", "a\n", "a" * 101):
        assert main(["new", name, "--source", "pendo"]) == 2
        assert "The name must be of lower-case letters" in capsys.readouterr().err
