"""The real server over real sockets: HTTP/1.1, HTTP/2, TLS, PROXY headers, limits."""

import contextlib
import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
import trustme

from tests.app.conftest import Serve
from tests.app.server import (
    HOST,
    Pair,
    Server,
    client_context,
    free_ports,
    mount,
    read_response,
    request,
)
from tests.app.test_units import v2
from tests.objects import ROOT


def eventually(check: object, *, seconds: float = 5) -> None:
    """``check`` comes true in time."""
    assert callable(check)
    until = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < until
        time.sleep(0.05)


# What it says of a connection


def test_http_1_says_the_tls_session_and_the_certificate(server: Server) -> None:
    tls = server.get("/api").json()["tls"]
    assert tls["version"] == "TLSv1.3"
    assert tls["alpn"] == "http/1.1"
    assert tls["sni"] == HOST
    assert tls["certificate"]["names"] == [HOST]
    assert tls["certificate"]["notAfter"] > tls["certificate"]["notBefore"]


def test_http_2_is_spoken_to_those_who_offer_it(server: Server) -> None:
    with server.client(http2=True) as client:
        got = client.get("/api", extensions={"sni_hostname": HOST})
        assert got.http_version == "HTTP/2"
        assert got.json()["tls"]["alpn"] == "h2"
        assert got.json()["protocol"] == "HTTP/2.0"
        # Streams with and without bodies, short and long, on one connection.
        for _ in range(5):
            assert client.get("/bench").text == "1"
            assert len(client.get("/data?size=1&unit=mb").content) == 2**20
            assert client.post("/", content=b"hello").text.endswith("hello")
            assert client.get("/nothing").status_code == 404
            assert client.head("/data?size=5").headers["content-length"] == "5"


@pytest.mark.parametrize(
    ("version", "spoken"),
    [(ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")],
)
def test_tls_1_2_and_1_3_are_spoken(server: Server, version: ssl.TLSVersion, spoken: str) -> None:
    assert server.pair
    context = client_context(server.pair.ca)
    context.maximum_version = version
    with server.client(verify=context) as client:
        got = client.get("/api", extensions={"sni_hostname": HOST}).json()
    assert got["tls"]["version"] == spoken


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning")
def test_tls_1_1_is_not(server: Server) -> None:
    assert server.pair
    context = client_context(server.pair.ca)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with server.raw() as sock, pytest.raises(ssl.SSLError):
        context.wrap_socket(sock, server_hostname=HOST)


def test_a_key_exchange_in_a_finite_field_is_refused(serve: Serve) -> None:
    """One costs a hundred times what the client pays, who need not even compute its share."""
    server = serve("--verbose")
    assert server.pair
    for group, spoken in (("ffdhe8192", False), ("ffdhe2048", False), ("secp384r1", True)):
        context = client_context(server.pair.ca)
        context.set_ecdh_curve(group)
        with server.raw() as sock:
            if spoken:
                context.wrap_socket(sock, server_hostname=HOST).close()
            else:
                with pytest.raises(ssl.SSLError, match=r"(?i)handshake.failure"):
                    context.wrap_socket(sock, server_hostname=HOST)
    eventually(lambda: server.errors.count("NO_SUITABLE_GROUPS") == 2)
    refused = 'foobar_api_connections_refused_total{reason="tls"}'
    assert server.metrics()[refused] == 2


def test_plain_http_on_the_tls_port_is_closed(server: Server) -> None:
    with server.raw() as sock:
        sock.sendall(request())
        assert b"HTTP/" not in read_response(sock)


def test_without_a_certificate_it_speaks_plain_http(serve: Serve) -> None:
    server = serve(pair=None)
    got = server.get("/api").json()
    assert got["protocol"] == "HTTP/1.1"
    assert "tls" not in got
    assert "Warning" not in server.errors
    assert "none: plain HTTP" in server.get(headers={"Accept": "text/html"}).text


def test_session_keys_are_never_written(serve: Serve, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    serve(environment={"SSLKEYLOGFILE": str(keys)}).get()
    assert not keys.exists()


def test_where_it_runs_comes_from_the_environment(server: Server) -> None:
    got = server.get("/api").json()
    assert (got["cluster"], got["pod"]) == ("us-east", "pod-1")


# Requests


def test_a_connection_serves_one_request_after_another(server: Server) -> None:
    with server.connect() as sock:
        for number in range(3):
            sock.sendall(request(f"/data?size={number + 5}", close=False))
            response = http.client.HTTPResponse(sock)
            response.begin()
            assert len(response.read()) == number + 5
        # And when they come all at once.
        sock.sendall(request("/bench", close=False) * 3 + request("/bench"))
        assert read_response(sock).count(b"HTTP/1.1 200 OK") == 4


def test_a_body_that_nobody_reads_does_not_become_a_request(server: Server) -> None:
    smuggled = request("/nothing", close=False)
    with server.connect() as sock:
        sock.sendall(request("/health", f"Content-Length: {len(smuggled)}", close=False) + smuggled)
        sock.sendall(request("/bench"))
        got = read_response(sock)
    assert got.count(b"HTTP/1.1 200 OK") == 2
    assert b"404" not in got


def test_a_chunked_body_is_read(server: Server) -> None:
    def pieces() -> "list[bytes]":
        return [b"hel", b"lo"]

    with server.client() as client:
        got = client.post("/", content=iter(pieces()), extensions={"sni_hostname": HOST})
    assert got.text.endswith("\r\n\r\nhello")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (request("/" + "x" * 9000), b"414"),
        (request("/", "X-Long: " + "x" * 9000), b"431"),
        (request("/", *(f"X-{number}: 1" for number in range(150))), b"431"),
        (request("/", "Content-Length: 2000000", method="POST"), b"413"),
        (request("/", "Content-Length: -1"), b"400"),
        (request("/", "Content-Length: 1", "Transfer-Encoding: chunked"), b"400"),
        (request("/", "Transfer-Encoding: magic, chunked", method="POST"), b"501"),
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET / HTTP/9.9\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nBad Header: x\r\n\r\n", b"400"),
        (request("*", method="OPTIONS"), b"204"),
        (request("http://other.test/bench"), b"200"),
        (b"GET /bench HTTP/1.0\r\n\r\n", b"200"),
    ],
)
def test_what_is_wrong_with_a_request_has_its_status(
    server: Server, sent: bytes, status: bytes
) -> None:
    with server.connect() as sock:
        sock.sendall(sent)
        assert read_response(sock).split(b" ", 2)[1] == status


def test_a_chunked_body_without_end_is_413_once_it_is_too_long(serve: Serve) -> None:
    server = serve("--max-body=64KiB")
    with server.connect() as sock:
        sock.sendall(request("/", "Transfer-Encoding: chunked", method="POST", close=False))
        for _ in range(8):
            sock.sendall(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
        response = http.client.HTTPResponse(sock)
        response.begin()
        assert response.status == 413
        assert response.getheader("Connection") == "close"


def test_a_client_that_waits_for_100_continue_gets_it(server: Server) -> None:
    with server.connect() as sock:
        sock.sendall(request("/", "Expect: 100-continue", "Content-Length: 2", method="POST"))
        assert sock.recv(65536).startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
        sock.sendall(b"hi")
        assert read_response(sock).endswith(b"\r\n\r\nhi")


def test_wait_delays_only_its_own_answer(server: Server) -> None:
    with server.connect() as slow:
        started = time.monotonic()
        slow.sendall(request("/?wait=3s"))
        for _ in range(5):
            server.get("/bench")
        slow.settimeout(0)
        with pytest.raises(ssl.SSLWantReadError):
            slow.recv(1)
        slow.settimeout(10)
        assert b"200 OK" in read_response(slow)
        assert time.monotonic() - started >= 3


def test_more_waiting_requests_than_allowed_are_refused(serve: Serve) -> None:
    server = serve("--max-waits=2", "--workers=1")
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(server.connect()).sendall(request("/?wait=2s"))
        time.sleep(0.3)
        got = server.get("/?wait=1ms")
        assert (got.status_code, got.headers["Retry-After"]) == (503, "1")
        assert server.get("/bench").status_code == 200


def test_more_streams_than_allowed_are_refused(serve: Serve) -> None:
    server = serve("--max-streams=1", "--workers=1")
    with server.connect() as reader:
        reader.sendall(request("/data?size=50&unit=mb"))
        time.sleep(0.3)
        assert server.get("/data?size=1&unit=mb").status_code == 503
        assert server.get("/data?size=64&unit=kb").status_code == 200
    eventually(lambda: server.get("/data?size=1&unit=mb").status_code == 200)
    with server.client() as client:
        for _ in range(3):
            got = client.head("/data?size=1&unit=mb", extensions={"sni_hostname": HOST})
            assert got.status_code == 200
    assert server.get("/data?size=1&unit=mb").status_code == 200


def test_data_takes_constant_memory(serve: Serve) -> None:
    server = serve("--max-data=1GiB", "--workers=1")
    server.get("/data?size=1&unit=mb")
    worker = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text()
    pid = worker.split()[0]

    def peak() -> int:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1])

    before = peak()
    with (
        server.client() as client,
        client.stream("GET", "/data?size=300&unit=mb", extensions={"sni_hostname": HOST}) as got,
    ):
        assert sum(len(piece) for piece in got.iter_raw()) == 300 * 2**20
    assert peak() - before < 8 * 1024


def test_health_that_was_set_is_that_of_every_worker(serve: Serve) -> None:
    server = serve("--allow-health", "--workers=3")
    with server.client() as client:
        posted = client.post("/health", content=b"503", extensions={"sni_hostname": HOST})
        assert posted.status_code == 200
    assert {server.get("/health").status_code for _ in range(12)} == {503}


# Who the client is


def test_a_trusted_proxy_says_who_the_client_is(serve: Serve) -> None:
    server = serve("--proxy-from=127.0.0.2/32")
    for header, client in [
        (b"PROXY TCP4 203.0.113.9 10.0.0.1 4711 443\r\n", "203.0.113.9:4711"),
        (v2("203.0.113.9"), "203.0.113.9:4711"),
        (v2("2001:db8::7"), "[2001:db8::7]:4711"),
    ]:
        with server.connect(before=header, source="127.0.0.2") as sock:
            sock.sendall(request())
            text = read_response(sock).decode()
        assert f"RemoteAddr: {client}\n" in text
        assert "Proxy: 127.0.0.2\n" in text
    eventually(lambda: len(server.access) == 3)
    assert {line["client"] for line in server.access} == {"203.0.113.9", "2001:db8::7"}
    assert {line["proxy"] for line in server.access} == {"127.0.0.2"}
    assert server.metrics()['foobar_api_connections_total{source="proxy"}'] == 3


def test_a_proxy_header_over_http_2_counts_for_every_stream(serve: Serve) -> None:
    server = serve("--proxy-from=127.0.0.0/8")
    done = subprocess.run(
        ["curl", "--silent", "--insecure", "--http2", "--haproxy-protocol",
         f"{server.url}/api", f"{server.url}/api"],
        capture_output=True, check=True, text=True,
    )  # fmt: skip
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert first["protocol"] == second["protocol"] == "HTTP/2.0"
    assert first["remoteAddr"] == second["remoteAddr"]


def test_a_trusted_proxy_may_say_nothing(serve: Serve) -> None:
    server = serve("--proxy-from=127.0.0.0/8")
    assert server.get("/api").json()["remoteAddr"].startswith("127.0.0.1:")
    with server.connect(before=v2(command=0x20)) as sock:
        sock.sendall(request())
        assert b"RemoteAddr: 127.0.0.1:" in read_response(sock)


def test_nobody_else_is_believed(serve: Serve) -> None:
    server = serve("--proxy-from=127.0.0.2/32")
    with pytest.raises((ssl.SSLError, OSError)):
        server.connect(before=b"PROXY TCP4 203.0.113.9 10.0.0.1 4711 443\r\n")


def test_headers_never_say_who_the_client_is(server: Server) -> None:
    got = server.get("/api", headers={"X-Forwarded-For": "203.0.113.9", "Forwarded": "for=x"})
    assert got.json()["remoteAddr"].startswith("127.0.0.1:")


def test_a_malformed_proxy_header_closes_the_connection(serve: Serve) -> None:
    server = serve("--proxy-from=127.0.0.0/8")
    for header in (b"PROXY " + b"x" * 200, v2(command=0x31)):
        with server.raw() as sock:
            sock.sendall(header)
            with contextlib.suppress(ConnectionResetError):
                assert sock.recv(10) == b""
    eventually(
        lambda: server.metrics().get('foobar_api_connections_refused_total{reason="proxy"}') == 2
    )


# Client certificates


def test_mutual_tls_takes_a_certificate_of_the_given_authority(
    serve: Serve, tmp_path: Path, ca: trustme.CA
) -> None:
    authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
    (tmp_path / "ca.pem").write_bytes(authority.cert_pem.bytes())
    server = serve(f"--cacert={tmp_path / 'ca.pem'}")
    context = client_context(ca)
    authority.issue_cert("client@app.test", common_name="someone").configure_cert(context)
    with server.client(verify=context) as client:
        text = client.get("/", extensions={"sni_hostname": HOST}).text
    assert "Certificate[0] Subject: CN=someone" in text
    for known in (None, trustme.CA(key_type=trustme.KeyType.ECDSA)):
        context = client_context(ca)
        if known:
            known.issue_cert("client@app.test").configure_cert(context)
        with pytest.raises(httpx.TransportError), server.client(verify=context) as client:
            client.get("/", extensions={"sni_hostname": HOST})
    healthy = subprocess.run(
        [sys.executable, "-m", "foobar_api", "healthcheck", "--host=127.0.0.1",
         f"--port={server.port}"],
        cwd=ROOT, check=False, capture_output=True,
    )  # fmt: skip
    assert healthy.returncode == 1  # it speaks TLS there, and wants a certificate


# Logs, metrics, health


def test_a_request_is_a_line_of_json(serve: Serve) -> None:
    server = serve()
    server.get("/data?size=5&secret=s3cret", headers={"X-Request-Id": "abc-1", "User-Agent": "me"})
    eventually(lambda: server.access)
    line = server.access[0]
    assert line["seconds"] < 5
    del line["time"], line["seconds"], line["client_port"]
    assert line == {
        "level": "info",
        "message": "request",
        "request_id": "abc-1",
        "client": "127.0.0.1",
        "method": "GET",
        "host": f"127.0.0.1:{server.port}",
        "path": "/data",
        "protocol": "HTTP/1.1",
        "status": 200,
        "bytes": 5,
        "user_agent": "me",
        "tls": "TLSv1.3",
        "cipher": "TLS_AES_256_GCM_SHA384",
        "sni": HOST,
    }


def test_no_header_breaks_a_line_of_the_log(serve: Serve) -> None:
    server = serve()
    with server.connect() as sock:
        sock.sendall(
            request("/bench", 'User-Agent: "\\\x80\xff{}').decode("latin-1").encode("latin-1")
        )
        read_response(sock)
    eventually(lambda: server.access)
    assert server.access[0]["user_agent"].startswith('"\\')


def test_probes_are_logged_only_when_they_fail(serve: Serve) -> None:
    server = serve("--drain=2s")
    server.get("/livez")
    server.get("/readyz")
    server.process.terminate()
    eventually(lambda: server.get("/readyz").status_code == 503)
    eventually(lambda: server.access)
    assert {each["status"] for each in server.access} == {503}


def test_the_access_log_can_be_switched_off(serve: Serve) -> None:
    server = serve("--access-log=false")
    server.get()
    server.stop()
    assert server.access == []


def test_metrics_are_those_of_all_workers(serve: Serve) -> None:
    server = serve("--workers=3")
    for _ in range(30):
        server.get("/bench")
    server.get("/nothing")
    found = server.metrics()
    labels = 'code="200",method="GET",protocol="HTTP/1.1",route="/bench"'
    assert found[f"http_requests_total{{{labels}}}"] == 30
    assert found['http_request_duration_seconds_count{route="/bench"}'] == 30
    assert found['http_request_duration_seconds_bucket{le="+Inf",route="/bench"}'] == 30
    assert (
        found['http_requests_total{code="404",method="GET",protocol="HTTP/1.1",route="none"}'] == 1
    )
    assert found["foobar_api_certificate_not_after_timestamp_seconds"] > time.time()
    assert found["foobar_api_certificate_last_reload_successful"] == 1


def test_open_connections_and_requests_in_flight_are_counted(serve: Serve) -> None:
    server = serve()
    with server.connect(), server.connect() as busy:
        busy.sendall(request("/?wait=3s"))
        eventually(
            lambda: (
                server.metrics()["foobar_api_connections_open"] == 2
                and server.metrics()["http_requests_in_flight"] == 1
            )
        )
    eventually(lambda: server.metrics()["foobar_api_connections_open"] == 0)


def test_methods_and_paths_of_a_client_make_no_new_series(serve: Serve) -> None:
    server = serve()
    for number in range(5):
        with server.client() as client:
            client.request(f"METHOD{number}", f"/{number}", extensions={"sni_hostname": HOST})
    labels = 'code="404",method="other",protocol="HTTP/1.1",route="none"'
    assert server.metrics()[f"http_requests_total{{{labels}}}"] == 5


def test_metrics_are_not_served_to_the_public(server: Server) -> None:
    assert server.get("/metrics").status_code == 404


def healthcheck(*options: str) -> int:
    return subprocess.run(
        [sys.executable, "-m", "foobar_api", "healthcheck", "--host=127.0.0.1", *options],
        cwd=ROOT, check=False, capture_output=True, timeout=30,
    ).returncode  # fmt: skip


def test_healthcheck_asks_the_server_with_the_same_settings(serve: Serve, pair: Pair) -> None:
    server = serve()
    tls = (f"--cert={pair.cert}", f"--key={pair.key}")
    assert healthcheck(f"--port={server.port}", *tls) == 0
    server.stop()
    assert healthcheck(f"--port={server.port}", *tls) == 1
    assert healthcheck("--port=0") == 2


# Starting


def test_gunicorn_starts_it_from_the_environment(serve: Serve) -> None:
    server = serve(gunicorn=True, environment={"WHOAMI_NAME": "by environment"})
    assert server.get("/api").json()["name"] == "by environment"
    assert server.stop() == 0


def test_it_is_an_application_for_other_workers_as_well(pair: Pair, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    process = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "--worker-class=gthread", "--threads=2",
         f"--bind=127.0.0.1:{port}", f"--certfile={pair.cert}", f"--keyfile={pair.key}",
         "--no-control-socket", "foobar_api.application:from_environment()"],
        cwd=ROOT, env={"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path)},
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        with httpx.Client(
            base_url=f"https://127.0.0.1:{port}", verify=client_context(pair.ca),
            transport=httpx.HTTPTransport(verify=client_context(pair.ca), retries=9),
        ) as client:  # fmt: skip
            for path in ("/", "/api", "/data?size=9", "/version"):
                got = client.get(path, extensions={"sni_hostname": HOST})
                assert got.status_code == 200
            got = client.get("/echo", extensions={"sni_hostname": HOST})
            assert got.status_code == 426
    finally:
        process.terminate()
        process.wait(10)


@pytest.mark.parametrize(
    "fault", ["missing", "mismatch", "algorithm", "encrypted", "garbage", "key", "ca"]
)
def test_a_certificate_that_cannot_be_served_is_told_at_the_start(
    tmp_path: Path, ca: trustme.CA, fault: str
) -> None:
    pair = mount(tmp_path / "cert", ca)
    good, other = pair.cert.read_bytes(), trustme.CA().issue_cert(HOST).private_key_pem.bytes()
    options = []
    if fault == "missing":
        says = f"{pair.folder}/cert.pem: No such file or directory"
        (pair.folder / "..data").unlink()
    elif fault == "mismatch":
        says = f"{pair.key}: is not the key of {pair.cert}"
        pair.replace(good, other)
    elif fault == "encrypted":
        says = f"{pair.key}: the key is encrypted; give one that is not"
        subprocess.run(
            ["openssl", "pkcs8", "-topk8", "-in", pair.key, "-out", tmp_path / "k", "-passout",
             "pass:secret"], check=True, capture_output=True,
        )  # fmt: skip
        pair.replace(good, (tmp_path / "k").read_bytes())
    elif fault == "garbage":
        says = f"{pair.cert}: holds no certificate in PEM"
        pair.replace(b"garbage", b"garbage")
    elif fault == "key":
        says = f"{pair.key}: holds no private key in PEM"
        pair.replace(good, b"garbage")
    elif fault == "algorithm":
        says = f"{pair.key}: is not the key of {pair.cert}"
        rsa = trustme.CA().issue_cert(HOST, key_type=trustme.KeyType.RSA)
        pair.replace(good, rsa.private_key_pem.bytes())
    else:
        says = f"{tmp_path / 'ca.pem'}: holds no certificate of an authority"
        (tmp_path / "ca.pem").write_text("garbage")
        options = [f"--cacert={tmp_path / 'ca.pem'}"]
    done = subprocess.run(
        [sys.executable, "-m", "foobar_api", "--host=127.0.0.1", "--port=1",
         f"--cert={pair.cert}", f"--key={pair.key}", *options],
        cwd=ROOT, check=False, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"foobar_api: {says}")


def test_both_address_families_reach_it(tmp_path: Path, pair: Pair) -> None:
    if not socket.has_dualstack_ipv6():
        pytest.skip("needs IPv6")
    server = Server(tmp_path, pair, "--host=")
    try:
        server.wait()
        for host in ("127.0.0.1", "[::1]"):
            with httpx.Client(verify=server.context or False) as client:
                got = client.get(
                    f"https://{host}:{server.port}/api", extensions={"sni_hostname": HOST}
                ).json()
            assert got["remoteAddr"].startswith(f"{host}:")
    finally:
        server.stop()
