"""Clients are made from the settings; what is not valid is one sentence that names the variable."""

from pathlib import Path

import pytest

from headrace.connections import kafka_clients, redis_clients
from headrace.connections.settings import below, text
from headrace.schemas.environment import SettingError
from tests.support.settings import set_kafka


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"foo.bar": "1"}, 'HEADRACE_KAFKA_FOO_BAR is not valid: No such configuration property: "foo.bar"'),
        ({"security.protocol": "TLS"}, 'HEADRACE_KAFKA_SECURITY_PROTOCOL is not valid: Invalid value "TLS"'),
        ({"group.id": "mine"}, "HEADRACE_KAFKA_GROUP_ID is set, but each client has its own group.id: unset it"),
        ({"sasl.password_file": "/nowhere"}, "SASL_PASSWORD_FILE names /nowhere, which cannot be read"),
        ({"sasl.password_file": "/x", "sasl.password": "y"}, "SASL_PASSWORD and .*_FILE are both set"),
    ],
)
def test_a_setting_of_kafka_that_is_not_valid(
    monkeypatch: pytest.MonkeyPatch, values: dict[str, str], message: str
) -> None:
    set_kafka(monkeypatch, values)
    with pytest.raises(SettingError, match=message):
        kafka_clients.check("localhost:1")


def test_properties_for_java_and_the_address_are_not_librdkafkas(monkeypatch: pytest.MonkeyPatch) -> None:
    set_kafka(monkeypatch, {"java.x": "1", "bootstrap.servers": "elsewhere:1", "client.id": "shop"})
    assert kafka_clients.connection() == {"client.id": "shop"}


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://h", "'http://h' is not the address of a store. It must be redis://host:port"),
        ("", "is not the address of a store"),
        ("redis://:s3cret@h:1", "redis://\\*\\*\\*@h:1 holds credentials.*HEADRACE_REDIS_PASSWORD_FILE"),
        ("redis+sentinel://a:1,b:2", "names no service"),
        ("redis://h:1?password=s3cret", "the store's address redis://h:1.* has options"),
        ("redis://h:port", "is not the address of a store"),
        ("redis://h:99999", "is not the address of a store"),
        ("redis://[::1", "is not the address of a store"),
    ],
)
def test_an_address_of_the_store_that_is_not_valid(url: str, message: str) -> None:
    with pytest.raises(SettingError, match=message) as seen:
        redis_clients.check(url)
    assert "s3cret" not in str(seen.value)


def test_certificates_need_an_address_with_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_REDIS_TLS_CA", "/tls/ca.pem")
    with pytest.raises(SettingError, match="write rediss instead of redis"):
        redis_clients.check("redis://h:1")
    redis_clients.check("rediss://h:1")


def test_credentials_reach_the_client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s3cret\n")
    monkeypatch.setenv("HEADRACE_REDIS_USERNAME", "me")
    monkeypatch.setenv("HEADRACE_REDIS_PASSWORD_FILE", str(tmp_path / "password"))
    monkeypatch.setenv("HEADRACE_REDIS_TLS_CA", "/tls/ca.pem")
    with redis_clients.connect("rediss://h:1/3") as client:
        found = client.get_connection_kwargs()
    expected = {"username": "me", "password": "s3cret", "ssl_ca_certs": "/tls/ca.pem", "db": 3}
    assert {name: found[name] for name in expected} == expected
    with redis_clients.connect("rediss+sentinel://a:1,b/service") as client:
        assert client.connection_pool.connection_kwargs["password"] == "s3cret"


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    set_kafka(monkeypatch, {"sasl.username": ""})
    assert (below("kafka"), text("kafka.sasl.username", "nobody")) == ({}, "nobody")
