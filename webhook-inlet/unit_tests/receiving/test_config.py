"""The configuration file: every mistake at once, by option, without a value."""

from pathlib import Path

import pytest
from webhook_inlet.config import load
from webhook_inlet.config_mistakes import ConfigMistakes

PATH = "p0123456789012345678901"
GOOD = f"""
store: {{type: volume, path: /data}}
read_token: ${{INLET_READ_TOKEN}}
inlets:
  - name: prod
    source: customerio
    path: {PATH}
    secrets: [current, "$${{NOT_ONE}}", previous]
"""


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INLET_READ_TOKEN", "tok-${INLET_READ_TOKEN}")


def written(folder: Path, text: str) -> Path:
    file = folder / "inlet.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def mistakes(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigMistakes) as caught:
        load(written(folder, text))
    return caught.value.mistakes


def test_a_good_file_has_the_documented_defaults(tmp_path: Path) -> None:
    config = load(written(tmp_path, GOOD))
    assert config.read_token.get_secret_value() == "tok-${INLET_READ_TOKEN}"  # a value is not looked into again
    assert (config.retention_days, config.drain_seconds) == (30, 5.0)
    inlet = config.inlets[0]
    assert [secret.get_secret_value() for secret in inlet.secrets] == ["current", "${NOT_ONE}", "previous"]
    assert (inlet.signature, inlet.max_body) == ("required", 8 * 1024 * 1024)


def test_secrets_and_token_may_stand_in_files(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("one\n\n two \n", encoding="utf-8")
    (tmp_path / "token").write_text("word\n", encoding="utf-8")
    text = GOOD.replace("read_token: ${INLET_READ_TOKEN}", "read_token_file: token")
    text = "\n".join(line for line in text.splitlines() if "secrets:" not in line) + "\n    secrets_file: keys\n"
    config = load(written(tmp_path, text))
    assert config.read_token.get_secret_value() == "word"
    assert [secret.get_secret_value() for secret in config.inlets[0].secrets] == ["one", "two"]


def test_every_mistake_is_said_at_once_and_no_value(tmp_path: Path) -> None:
    found = mistakes(
        tmp_path,
        """
store: {type: bucket, bucket: b, prefix: valuevalue, prefx: valuevalue, credentials: {auth_type: role, external_id: 7}}
read_token: ${MISSING_NAME}
retention_days: 0
drain_seconds: soon
token: valuevalue
inlets:
  - {name: UPPER, source: segment, path: valuevalue, secrets: [17], signatur: none}
  - {name: two, source: standard, path: "0123456789012345678901", secrets: [valuevalue]}
  - {name: three, source: pendo, path: a123456789012345678901}
  - {name: four, source: pendo, path: a123456789012345678901, signature: none, secrets: [valuevalue]}
  - {name: five, source: pendo, path: a12345678901234567890123, secrets: [""]}
  - {name: six, source: pendo, path: a12345678901234567890é, secrets: [a], secrets_file: valuevalue}
  - {name: seven, source: pendo, path: a1234567890123456789012, secrets_file: missing-file}
  - seven
""",
    )
    by_option = {mistake.split(": ")[0]: mistake.split(": ", 1)[1] for mistake in found}
    assert set(by_option) == {
        "store.prefix",
        "store.prefx",
        "store.credentials.external_id",
        "read_token",
        "retention_days",
        "drain_seconds",
        "token",
        "inlets[0].name",
        "inlets[0].source",
        "inlets[0].path",
        "inlets[0].secrets[0]",
        "inlets[0].signatur",
        "inlets[1].secrets[0]",
        "inlets[2].secrets",
        "inlets[3].signature",
        "inlets[4].secrets[0]",
        "inlets[5].path",
        "inlets[5].secrets_file",
        "inlets[6].secrets_file",
        "inlets[7]",
    }
    assert by_option["read_token"] == "the environment variable MISSING_NAME is not set."
    assert (
        by_option["inlets[0].path"]
        == "must be at least 22 URL-safe characters, not a whole URL; `webhook-inlet new` makes one."
    )
    assert "name, source, path, secrets, signature, max_body" in by_option["inlets[0].signatur"]
    assert "valuevalue" not in "\n".join(found)


def test_names_and_paths_are_not_used_twice(tmp_path: Path) -> None:
    entry = GOOD[GOOD.index("  - name") :]
    assert [mistake.split(":")[0] for mistake in mistakes(tmp_path, GOOD + entry)] == [
        "inlets[1].name",
        "inlets[1].path",
    ]


UNREADABLE = [
    "a: 2026-13-45",
    "a: !!int valuevalue",
    "a: !!bool valuevalue",
    "a: !!timestamp valuevalue",
    "a: &a [*a]",
    pytest.param("a: " + "[" * 3000 + "]" * 3000, marks=pytest.mark.slow),
    "a: 1\nb: 2\na: valuevalue",
    "a: [{b: 1, b: 2}]",
]


@pytest.mark.parametrize(
    "text", ["", "- a", "a: [", "\x00", "store: &a *b", "!!python/object:os.system x", *UNREADABLE]
)
def test_a_file_that_is_no_configuration_is_a_sentence(tmp_path: Path, text: str) -> None:
    (only,) = mistakes(tmp_path, text)
    assert only.startswith(str(tmp_path / "inlet.yaml"))
    assert "valuevalue" not in only


def test_a_secret_in_the_place_of_a_name_is_not_shown(tmp_path: Path) -> None:
    text = (
        GOOD.replace("secrets:", "sk-Value1ofTwentyAndMore: x\n    0b7cvalue: ${MISSING}\n    secrets:")
        + "VALUE1-OF-TWENTY-AND-MORE: 1\n"
    )
    found = mistakes(tmp_path, text)
    assert [mistake.split(":")[0] for mistake in found] == ["inlets[0].(not shown)", "(not shown)"]
    assert "value" not in "\n".join(found).lower()


@pytest.mark.parametrize("text", ["${NAME:-valuevalue}", "${BAD-NAME}", "${}", "${INLET_READ_TOKEN", "a${ b}"])
def test_what_looks_like_a_variable_and_is_none_is_a_mistake(tmp_path: Path, text: str) -> None:
    (only,) = mistakes(tmp_path, GOOD.replace("current", f'"{text}"'))
    assert only == (
        "inlets[0].secrets[0]: `${` must be followed by the name of an environment variable and `}`; `$${` stands for "
        "a plain `${`."
    )


@pytest.mark.parametrize("text", ['""', ".", '"/a\\0b"'])
def test_a_volume_has_a_folder_of_its_own(tmp_path: Path, text: str) -> None:
    (only,) = mistakes(tmp_path, GOOD.replace("/data", text))
    assert only == "store.path: must be the name of a folder, e.g. /data"


def test_a_missing_or_empty_part_is_named(tmp_path: Path) -> None:
    assert [mistake.split(":")[0] for mistake in mistakes(tmp_path, "retention_days: 3")] == [
        "store",
        "read_token",
        "inlets",
    ]
    assert mistakes(tmp_path, GOOD[: GOOD.index("inlets:")] + "inlets: []")[0].startswith("inlets: must not be empty")
