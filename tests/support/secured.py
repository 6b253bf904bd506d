"""A Kafka broker that wants SASL and TLS, and a Redis that wants a user, a password and TLS: as at another company."""

import asyncio
import contextlib
import socket
import ssl
import subprocess
import threading
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from msgspec import Struct

from headrace.layout import Layout
from headrace.stack import kafka, redis_server
from headrace.stack.ports import choose_ports, free_port
from headrace.wait import wait_until

USER, PASSWORD = "headrace", "it's $HOME; {spaced} 50%"
"""Credentials of both; the password has what shells, SQL and Java read as their own."""
_UP_S = 60.0


class Certificates(Struct, frozen=True):
    """Files of an authority, and of a certificate for 127.0.0.1 with its key (PKCS #8)."""

    authority: Path
    certificate: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        """For a server."""
        made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        made.load_cert_chain(self.certificate, self.key)
        return made


def certificates(folder: Path) -> Certificates:
    """Make an authority and a certificate."""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "localhost")
    paths = Certificates(folder / "ca.pem", folder / "tls.crt", folder / "tls.key")
    authority.cert_pem.write_to_path(str(paths.authority))
    paths.certificate.write_bytes(b"".join(each.bytes() for each in issued.cert_chain_pems))
    key = load_pem_private_key(issued.private_key_pem.bytes(), None)
    paths.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return paths


@contextlib.contextmanager
def broker(home: Path, own: Certificates) -> Iterator[int]:
    """A broker that accepts only USER, by SCRAM over TLS; yields its port."""
    layout = Layout(home)
    layout.kafka.mkdir(parents=True)
    ports, _ = choose_ports(usual=False)
    server, config = home / "server.pem", layout.kafka / "server.properties"
    server.write_text(own.key.read_text() + own.certificate.read_text())
    login = "org.apache.kafka.common.security.scram.ScramLoginModule required"
    settings = {
        "listeners": f"SASL_SSL://127.0.0.1:{ports.kafka},CONTROLLER://127.0.0.1:{ports.kafka_controller}",
        "advertised.listeners": f"SASL_SSL://127.0.0.1:{ports.kafka}",
        "listener.security.protocol.map": "SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "SASL_SSL",
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "sasl.mechanism.inter.broker.protocol": "SCRAM-SHA-512",
        "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": f'{login} username="{USER}" password="{PASSWORD}";',
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": server,
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": own.authority,
        "transaction.max.timeout.ms": 900_000,  # as brokers have it by default
    }
    # Of two lines with one name the last counts.
    lines = "".join(f"{name}={value}\n" for name, value in settings.items())
    config.write_text(kafka.properties(layout, ports) + lines)
    (layout.kafka / "log4j.properties").write_text("log4j.rootLogger=WARN, stdout\n")
    cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    tool = [kafka.JAVA, "-cp", kafka.CLASSPATH, "kafka.tools.StorageTool", "format", "--standalone"]
    tool += [f"--cluster-id={cluster}", "-c", str(config)]
    tool += ["--add-scram", f'SCRAM-SHA-512=[name={USER},password="{PASSWORD}"]']
    done = subprocess.run(tool, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    with (home / "kafka.log").open("wb") as log:
        process = subprocess.Popen(kafka.command(config), stdout=log, stderr=log)
    try:
        yield ports.kafka
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def redis(home: Path, own: Certificates) -> Iterator[int]:
    """A server that accepts only USER, behind a port with TLS, as the one in the environment has none; yields it."""
    plain, password = free_port(()), f"#{sha256(PASSWORD.encode()).hexdigest()}"
    access = ["--user", "default", "off", "--user", USER, "on", password, "~*", "&*", "+@all"]
    command = [redis_server.executable(), "--port", str(plain), "--dir", str(home), "--save", "", *access]
    process = subprocess.Popen([*command, "--logfile", str(home / "redis.log")])
    try:
        hint = f"Look at {home / 'redis.log'}."
        wait_until(lambda: _listens(plain), what=f"redis at {plain}", deadline_s=_UP_S, hint=hint)
        with _tls(plain, own) as port:
            yield port
    finally:
        process.terminate()
        process.wait()


def _listens(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port)):
        return True


@contextlib.contextmanager
def _tls(plain: int, own: Certificates) -> Iterator[int]:
    """A port with TLS in front of another one without."""
    port, ended = free_port(()), asyncio.Event()
    with asyncio.Runner() as runner:
        thread = threading.Thread(target=runner.run, args=(_forward(port, plain, own.context(), ended),))
        loop = runner.get_loop()
        thread.start()
        try:
            hint = "Look at the test's output."
            wait_until(lambda: _listens(port), what=f"TLS at {port}", deadline_s=_UP_S, hint=hint)
            yield port
        finally:
            loop.call_soon_threadsafe(ended.set)
            thread.join()


async def _forward(port: int, plain: int, context: ssl.SSLContext, ended: asyncio.Event) -> None:
    async def pipe(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
        sink.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind_reader, behind_writer = await asyncio.open_connection("127.0.0.1", plain)
        await asyncio.gather(pipe(reader, behind_writer), pipe(behind_reader, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", port, ssl=context)
    try:
        await ended.wait()
    finally:
        server.close()
