"""The settings below `kafka` as Flink's tables take them: in Java's names, and with references in place of secrets.

Kafka's own client resolves a reference where it connects (KIP-421, KIP-887), so a job's graph, plans, web page and logs
hold no secret. The machines that Flink runs on need the same variables and files as the other processes.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from headrace.connections.kafka_clients import JAVA
from headrace.connections.settings import Setting, below, is_secret, variable
from headrace.schemas.environment import SettingError

_SHADED = "org.apache.flink.kafka.shaded.org.apache.kafka.common"  # where flink-sql-connector-kafka has Kafka's client
_PROVIDERS = {
    "config.providers": "env,directory",
    "config.providers.env.class": f"{_SHADED}.config.provider.EnvVarConfigProvider",
    "config.providers.directory.class": f"{_SHADED}.config.provider.DirectoryConfigProvider",
}
_LOGIN = {"PLAIN": "plain.PlainLoginModule", "SCRAM-SHA-256": "scram.ScramLoginModule"}
_LOGIN["SCRAM-SHA-512"] = _LOGIN["SCRAM-SHA-256"]
_CREDENTIALS = frozenset({"sasl.mechanism", "sasl.mechanisms", "sasl.username", "sasl.password"})
_TRANSLATED = _CREDENTIALS | {
    "security.protocol",
    "client.id",
    "ssl.ca.location",
    "ssl.ca.pem",
    "ssl.certificate.location",
    "ssl.key.location",
    "ssl.key.password",
    "ssl.endpoint.identification.algorithm",
}


def java_properties() -> dict[str, str]:
    """Properties of Kafka's Java client, without the address.

    Settings below `kafka.java` come last; those that are secret are references too. Of librdkafka's other properties
    those about security are refused if they cannot be translated; times and sizes of buffers are left out.

    Raises:
        SettingError: a setting has no counterpart that is known here; `kafka.java` must say it in Java's way.
    """
    found = below("kafka")
    own = [name.removeprefix(JAVA) for name in found if name.startswith(JAVA)]
    _refuse_untranslated((name for name in found if not name.startswith(JAVA)), own)
    properties = {"client.id": found["client.id"].value} if "client.id" in found else {}
    if "security.protocol" in found:
        properties["security.protocol"] = found["security.protocol"].value.upper()
    if "sasl.jaas.config" not in own and _CREDENTIALS & found.keys():
        properties |= _login(found)
    properties |= _certificates(found)
    properties |= {name: _given(found, JAVA + name) for name in own}
    return properties | (_PROVIDERS if any("${" in value for value in properties.values()) else {})


def _refuse_untranslated(found: Iterable[str], own: Iterable[str]) -> None:
    """Without such a setting Flink would connect in another way than all other processes, or not at all.

    Whoever sets one of `own` about TLS, or about SASL, has taken that in hand.
    """
    in_hand = {each.partition(".")[0] for each in own}
    for name in sorted(found):
        about = name.removeprefix("enable.").partition(".")[0]
        if about in ("ssl", "sasl") and about not in in_hand and name not in _TRANSLATED:
            message = (
                f"{variable(f'kafka.{name}')} is not translated for Flink's Kafka client: set there what means the "
                f"same, as {variable(f'kafka.java.{about}')}_… (docs/connect.md)"
            )
            raise SettingError(message)


def _login(found: Mapping[str, Setting]) -> dict[str, str]:
    mechanism = (found.get("sasl.mechanism") or found.get("sasl.mechanisms") or Setting("")).value.upper()
    if mechanism not in _LOGIN:
        message = (
            f"{variable('kafka.sasl.mechanism')} is {mechanism!r}; for Flink {', '.join(_LOGIN)} are translated. "
            f"Set {variable('kafka.java.sasl.jaas.config')} and what else Kafka's Java client needs for {mechanism}"
        )
        raise SettingError(message)
    who = {name: _given(found, f"sasl.{name}") for name in ("username", "password")}
    credentials = " ".join(f'{name}="{value}"' for name, value in who.items())
    module = f"{_SHADED}.security.{_LOGIN[mechanism]}"
    return {"sasl.mechanism": mechanism, "sasl.jaas.config": f"{module} required {credentials};"}


def _certificates(found: Mapping[str, Setting]) -> dict[str, str]:
    properties: dict[str, str] = {}
    if algorithm := found.get("ssl.endpoint.identification.algorithm"):
        properties["ssl.endpoint.identification.algorithm"] = algorithm.value.replace("none", "")  # Java's word for it
    if authority := found.get("ssl.ca.location"):
        properties |= {"ssl.truststore.type": "PEM", "ssl.truststore.location": authority.value}
    elif authority := found.get("ssl.ca.pem"):
        properties |= {"ssl.truststore.type": "PEM", "ssl.truststore.certificates": authority.value}
    if "ssl.certificate.location" in found or "ssl.key.location" in found:
        properties["ssl.keystore.type"] = "PEM"
        for java, name in (("certificate.chain", "ssl.certificate.location"), ("key", "ssl.key.location")):
            properties[f"ssl.keystore.{java}"] = _contents(_given(found, name))
        if "ssl.key.password" in found:
            properties["ssl.key.password"] = _given(found, "ssl.key.password")
    return properties


def _given(found: Mapping[str, Setting], name: str) -> str:
    """The value of a setting that must be there; a reference to it if it is a secret."""
    setting = found.get(name)
    if setting is None:
        message = f"{variable(f'kafka.{name}')} is not set, and the other settings of Kafka need it"
        raise SettingError(message)
    if name in _CREDENTIALS and any(mark in setting.value for mark in '"\\'):
        message = (
            f"{variable(f'kafka.{name}')} holds a quotation mark or a backslash, which Kafka's Java client would read "
            f"as its own: choose another one, or set {variable('kafka.java.sasl.jaas.config')}"
        )
        raise SettingError(message)
    if setting.file:
        _refuse_newline(name, setting)
        return _contents(str(setting.file))
    return f"${{env:{variable(f'kafka.{name}')}}}" if is_secret(name) else setting.value


def _refuse_newline(name: str, setting: Setting) -> None:
    """Kafka's Java client takes all of a file as the value."""
    if setting.file and setting.file.read_text() != setting.value:
        message = (
            f"{variable(f'kafka.{name}')}_FILE names {setting.file}, which ends with a newline; Kafka's Java client "
            "would take it as part of the value. Write the file without it, as `printf %s` does"
        )
        raise SettingError(message)


def _contents(path: str) -> str:
    file = Path(path).absolute()
    return f"${{directory:{file.parent}:{file.name}}}"
