"""The settings of Kafka as Flink's tables take them: secrets are references, and what cannot be one is refused."""

from pathlib import Path

import pytest

from headrace.connections.java_properties import java_properties
from headrace.schemas.environment import SettingError
from tests.support.settings import set_kafka

LOGIN = {"sasl.mechanism": "SCRAM-SHA-512", "sasl.username": "it's me", "sasl.password": "s3cret"}


def test_nothing_is_set() -> None:
    assert java_properties() == {}


def test_a_password_is_a_reference_to_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    set_kafka(monkeypatch, {"security.protocol": "sasl_ssl", **LOGIN})
    properties = java_properties()
    login = properties.pop("sasl.jaas.config")
    assert login.endswith('required username="it\'s me" password="${env:HEADRACE_KAFKA_SASL_PASSWORD}";')
    assert (properties["security.protocol"], properties["sasl.mechanism"]) == ("SASL_SSL", "SCRAM-SHA-512")
    assert properties["config.providers.env.class"].endswith("EnvVarConfigProvider")
    assert "s3cret" not in str(properties)


def test_a_password_in_a_file_is_a_reference_to_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s3cret")
    login = {"sasl.mechanism": "PLAIN", "sasl.username": "me"}
    set_kafka(monkeypatch, {**login, "sasl.password_file": str(tmp_path / "password")})
    assert f'password="${{directory:{tmp_path}:password}}"' in java_properties()["sasl.jaas.config"]
    (tmp_path / "password").write_text("s3cret\n")
    with pytest.raises(SettingError, match=r"ends with a newline.*printf"):
        java_properties()


def test_certificates_are_pem_and_a_key_is_read_where_the_client_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"ssl.ca.location": "/tls/ca.pem", "ssl.certificate.location": "/tls/tls.crt"}
    set_kafka(monkeypatch, {"security.protocol": "SSL", **names, "ssl.key.location": "/tls/tls.key"})
    properties = java_properties()
    assert properties["ssl.truststore.location"] == "/tls/ca.pem"
    assert properties["ssl.keystore.key"] == "${directory:/tls:tls.key}"
    assert properties["ssl.keystore.certificate.chain"] == "${directory:/tls:tls.crt}"


def test_what_is_not_translated_is_said_in_javas_way(monkeypatch: pytest.MonkeyPatch) -> None:
    set_kafka(monkeypatch, {"sasl.mechanism": "OAUTHBEARER", "sasl.username": "me"})
    with pytest.raises(SettingError, match="HEADRACE_KAFKA_JAVA_SASL_JAAS_CONFIG"):
        java_properties()
    set_kafka(monkeypatch, {"java.sasl.jaas.config": "their.Module required;", "java.sasl.mechanism": "OAUTHBEARER"})
    properties = java_properties()
    assert properties["sasl.jaas.config"] == "${env:HEADRACE_KAFKA_JAVA_SASL_JAAS_CONFIG}"
    assert properties["sasl.mechanism"] == "OAUTHBEARER"


def test_a_secret_in_javas_words_is_a_reference_too(monkeypatch: pytest.MonkeyPatch) -> None:
    set_kafka(monkeypatch, {"java.ssl.truststore.password": "s3cret", "java.linger.ms": "5"})
    properties = java_properties()
    assert properties["ssl.truststore.password"] == "${env:HEADRACE_KAFKA_JAVA_SSL_TRUSTSTORE_PASSWORD}"
    assert properties["linger.ms"] == "5"


def test_what_has_no_counterpart_is_refused_until_it_is_said_in_javas_words(monkeypatch: pytest.MonkeyPatch) -> None:
    set_kafka(monkeypatch, {"enable.ssl.certificate.verification": "false", "socket.timeout.ms": "7"})
    with pytest.raises(SettingError, match=r"CERTIFICATE_VERIFICATION is not translated.*HEADRACE_KAFKA_JAVA_SSL_…"):
        java_properties()
    set_kafka(monkeypatch, {"java.ssl.truststore.location": "/all.jks"})
    assert java_properties() == {"ssl.truststore.location": "/all.jks"}


def test_javas_word_for_no_check_of_names_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    set_kafka(monkeypatch, {"ssl.endpoint.identification.algorithm": "none"})
    assert java_properties() == {"ssl.endpoint.identification.algorithm": ""}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sasl.password": 'a"b'}, "SASL_PASSWORD holds a quotation mark"),
        ({"sasl.password": ""}, "SASL_PASSWORD is not set"),
        ({"sasl.mechanism": ""}, "SASL_MECHANISM is ''; for Flink PLAIN"),
    ],
)
def test_what_cannot_be_a_login_is_refused(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], message: str
) -> None:
    set_kafka(monkeypatch, LOGIN | changes)
    with pytest.raises(SettingError, match=message):
        java_properties()
