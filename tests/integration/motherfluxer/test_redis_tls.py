"""A Redis whose certificate nobody vouches for is not spoken to."""

import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

ASK: Final = {
    "cache": "from django.core.cache import cache; cache.get('a')",
    "housekeeping": "from motherfluxer.celery import app; app.connection_for_write().connect()",
}


def write_own_certificate(path: Path) -> None:
    """Write a key, and a certificate for localhost that it signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    start = datetime.now(UTC) - timedelta(days=1)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    form = serialization.PrivateFormat.PKCS8
    plain = serialization.NoEncryption()
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, form, plain)
        + certificate.public_bytes(serialization.Encoding.PEM)
    )


@pytest.fixture
def impostor(tmp_path: Path) -> Iterator[int]:
    """Listen with such a certificate, and end whatever is begun."""
    write_own_certificate(tmp_path / "own.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "own.pem")
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:  # the fixture ends
                    return
                with connection:
                    try:
                        context.wrap_socket(connection, server_side=True).close()
                    except OSError:  # refused by the other side, as it should be
                        continue

        thread = threading.Thread(target=answer)
        thread.start()
        yield int(server.getsockname()[1])
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.parametrize("part", ASK)
def test_an_impostor_is_not_spoken_to(impostor: int, tmp_path: Path, part: str) -> None:
    own = {
        "DJANGO_SETTINGS_MODULE": "motherfluxer.settings.dev",
        "REDIS_URL": f"rediss://:token@localhost:{impostor}/0",
        "MOTHERFLUXER_VAR": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-c", f"import django; django.setup(); {ASK[part]}"],
        capture_output=True,
        text=True,
        env={**os.environ, **own},
    )
    assert done.returncode == 1
    assert "certificate verify failed" in done.stderr
