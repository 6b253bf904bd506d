"""`headrace.toml`: found upward, checked as a whole, and never stronger than a variable."""

import re
from pathlib import Path

import pytest

from headrace import project
from headrace.errors import UsageProblem
from headrace.layout import REPOSITORY

TEXT = """
[environments.staging]
token_file = "secrets/token"
topics = { prefix = "shop.", partitions = 12 }
[environments.staging.kafka]
bootstrap.servers = "kafka:9093"
enable.ssl.certificate.verification = false
ssl.ca.location = "/etc/ca.pem"
"""


def write(folder: Path, text: str) -> Path:
    (folder / "headrace.toml").write_text(text)
    return folder


def test_an_environment_becomes_variables(tmp_path: Path) -> None:
    variables = {"HEADRACE_TOPICS_PREFIX": "mine."}
    below = write(tmp_path, TEXT) / "a" / "b"
    below.mkdir(parents=True)
    project.enter("staging", variables, below)
    assert variables == {
        "HEADRACE_ENV": "staging",
        "HEADRACE_TOKEN_FILE": f"{tmp_path}/secrets/token",
        "HEADRACE_TOPICS_PREFIX": "mine.",
        "HEADRACE_TOPICS_PARTITIONS": "12",
        "HEADRACE_KAFKA_BOOTSTRAP_SERVERS": "kafka:9093",
        "HEADRACE_KAFKA_ENABLE_SSL_CERTIFICATE_VERIFICATION": "false",
        "HEADRACE_KAFKA_SSL_CA_LOCATION": "/etc/ca.pem",
    }


@pytest.mark.parametrize(("given", "meant"), [("models", "{folder}/models"), ("s3://shop/models", "s3://shop/models")])
def test_a_location_is_a_path_from_the_file_or_an_address(tmp_path: Path, given: str, meant: str) -> None:
    variables: dict[str, str] = {}
    project.enter("staging", variables, write(tmp_path, f'[environments.staging]\nsnapshots = "{given}"\n'))
    assert variables["HEADRACE_SNAPSHOTS"] == meant.format(folder=tmp_path)


def test_a_secret_that_is_set_is_stronger_than_the_file_of_one(tmp_path: Path) -> None:
    variables = {"HEADRACE_TOKEN": "mine", "HEADRACE_ENV": "staging"}
    project.enter("", variables, write(tmp_path, TEXT))
    assert "HEADRACE_TOKEN_FILE" not in variables
    assert variables["HEADRACE_TOPICS_PREFIX"] == "shop."


def test_the_local_environment_needs_no_file(tmp_path: Path) -> None:
    variables: dict[str, str] = {}
    project.enter("", variables, tmp_path)
    project.enter("", variables, write(tmp_path, TEXT))
    assert variables == {"HEADRACE_ENV": "local"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[environments.staging", "cannot be read: Expected ']'"),
        ("[staging.kafka]", "has 'staging' at its top: write tables such as"),
        ("environments = 3", "has an environment that is not a table"),
        ("[environments.live]", "has no environment 'staging'; it has local, live"),
        (
            "[environments.staging]\nkafka.sasl.password = 'x'",
            "is a secret: set HEADRACE_KAFKA_SASL_PASSWORD",
        ),
        ("[environments.staging]\nredis.ulr = 'x'", "environments.staging.redis.ulr is not a setting; redis.url is"),
        ("[environments.staging]\nflink.url = []", "flink.url is \\[\\], must be a text or a number"),
        ("[environments.staging]\na = 1\nmodel.key = 'x'", "a is not a setting.*; environments.staging.model.key is a"),
    ],
)
def test_what_is_wrong_in_the_file(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageProblem, match=message):
        project.enter("staging", {}, write(tmp_path, text))


def test_every_setting_is_in_the_docs() -> None:
    page = (REPOSITORY / "docs" / "connect.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z_.]+)`", page))
    for setting in (name.removesuffix("_file") for name in project.SETTINGS):
        assert setting in named or f".{setting.rpartition('.')[2]}" in named, setting
