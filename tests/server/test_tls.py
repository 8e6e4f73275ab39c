"""Engines behind TLS: whom we trust, and that nothing of an answer is lost."""

import ssl
import subprocess
from contextlib import ExitStack, closing, suppress

import anyio
import pytest

from server.backends.http import Upstream
from strategies.protocols import BackendError
from tests.hosts import WELL, heard, host, threaded

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[True, False], ids=["uvloop", "asyncio"])
def anyio_backend(request):
    return "asyncio", {"use_uvloop": request.param}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for localhost that its own key has signed, and that key."""
    folder = tmp_path_factory.mktemp("tls")
    made = [str(folder / "key.pem"), str(folder / "cert.pem")]
    asked = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run(
        [*asked, "-addext", "subjectAltName=DNS:localhost", "-keyout", made[0], "-out", made[1]],
        check=True,
        capture_output=True,
    )
    return made


@pytest.fixture
def trusted(certificate, monkeypatch):
    """What serves with a certificate that is trusted here."""
    key, chain = certificate
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(chain, key)
    monkeypatch.setenv("SSL_CERT_FILE", chain)
    return tls


async def test_an_engine_behind_tls_is_asked(trusted):
    async with host(WELL, trusted) as engine:
        assert [await engine.upstream.post("/", {}) for _ in range(2)] == [b"hi"] * 2
    assert len(engine.made) == 1


async def test_an_engine_whose_certificate_nobody_vouches_for_is_not_asked(trusted, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    async with host(WELL, trusted) as engine:
        with pytest.raises(BackendError) as raised:
            await engine.upstream.post("/", {})
    assert raised.value.cause == "connect"
    assert not engine.requests


async def test_an_engine_with_the_certificate_of_another_host_is_not_asked(trusted):
    async with host(WELL, trusted) as engine:
        with closing(Upstream(f"https://127.0.0.1:{engine.port}")) as upstream, pytest.raises(BackendError) as raised:
            await upstream.post("/", {})
    assert raised.value.cause == "connect"
    assert not engine.requests


LONG = b"a" * 3_000_000


@pytest.mark.parametrize("end", [b"content-length: %d\r\n" % len(LONG), b""], ids=["with a length", "without"])
async def test_an_answer_over_tls_that_ends_without_a_word_of_tls_is_whole(trusted, end):
    with threaded(abrupt(trusted, b"HTTP/1.1 200 OK\r\n%s\r\n%s" % (end, LONG)), tls=True) as upstream:
        for _ in range(10):
            assert await upstream.post("/", {}) == LONG


async def test_a_connection_that_still_sends_is_not_used_again(trusted):
    with ExitStack() as served:

        def early(connection, number):
            wrapped = served.enter_context(trusted.wrap_socket(connection, server_side=True))
            if number > 1:
                heard(wrapped)
                wrapped.sendall(WELL)
            else:
                wrapped.recv(1000)
                wrapped.sendall(b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 2\r\n\r\nno")

        with threaded(early, tls=True) as upstream:
            with pytest.raises(BackendError) as raised:
                await upstream.post("/", {"prompt": "a" * 20_000_000})
            assert raised.value.status == 429
            with anyio.fail_after(5):
                assert await upstream.post("/", {}) == b"hi"


async def test_one_that_has_answered_a_long_request_well_is_used_again(trusted):
    async with host(WELL, trusted) as engine:
        for _ in range(2):
            assert await engine.upstream.post("/", {"prompt": "a" * 200_000}) == b"hi"
    assert len(engine.made) == 1


async def test_one_that_is_read_slowly_is_whole_or_an_error(trusted):
    with threaded(abrupt(trusted, b"HTTP/1.1 200 OK\r\n\r\n" + LONG), tls=True) as upstream:
        for _ in range(10):
            read = 0
            async with upstream.relay("/", {}) as answer:
                with suppress(BackendError):
                    while part := await answer.some():
                        read += len(part)
                        await anyio.sleep(0.001)
                    assert read == len(LONG)


def abrupt(tls, data):
    """What answers over TLS, and ends TCP alone."""

    def reply(connection, number):
        with tls.wrap_socket(connection, server_side=True, suppress_ragged_eofs=True) as wrapped:
            heard(wrapped)
            wrapped.sendall(data)

    return reply
