"""The application by WSGI alone: each endpoint through wsgiref's validator, and any request."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from typing import Any
from urllib.parse import quote
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from foobar_api import VERSION
from foobar_api.application import Application
from foobar_api.settings import load


@dataclass
class Response:
    status: int
    headers: Message
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


Ask = Callable[..., Response]


def asking(*options: str, environment: dict[str, str] | None = None) -> Ask:
    """Sends requests to an application of these options, checked from both sides."""
    app = Application(load(options, {}), environment or {})

    def ask(target: str = "/", method: str = "GET", body: bytes = b"", **headers: str) -> Response:
        path, _, query = target.partition("?")
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "RAW_URI": target,
            "QUERY_STRING": query,
            "REMOTE_ADDR": "203.0.113.9",
            "REMOTE_PORT": "4711",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.input": io.BytesIO(body),
            **{f"HTTP_{name.upper()}": value for name, value in headers.items()},
        }
        if body:
            environ["CONTENT_LENGTH"] = str(len(body))
        setup_testing_defaults(environ)
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(
            status: str, fields: list[tuple[str, str]], exc_info: object = None
        ) -> Callable[[bytes], object]:
            started.append((status, fields))
            return lambda data: None

        result = validator(app)(environ, start_response)
        try:
            content = b"".join(result)
        finally:
            result.close()  # type: ignore[attr-defined]
        status, fields = started[0]
        message = Message()
        for name, value in fields:
            message[name] = value
        return Response(int(status[:3]), message, content)

    return ask


@pytest.fixture(scope="module")
def ask() -> Ask:
    return asking()


PATHS = (
    "/",
    "/api",
    "/bench",
    "/data",
    "/health",
    "/livez",
    "/readyz",
    "/version",
    "/openapi.yaml",
)


@pytest.mark.parametrize("path", PATHS)
def test_every_endpoint_is_valid_wsgi(ask: Ask, path: str) -> None:
    got = ask(path)
    assert got.status == 200
    assert got.headers["X-Content-Type-Options"] == "nosniff"
    assert got.headers["Content-Length"] == str(len(got.body))


@pytest.mark.parametrize("path", PATHS)
def test_head_has_the_headers_of_get_and_no_body(ask: Ask, path: str) -> None:
    got, head = ask(path), ask(path, "HEAD")
    assert (head.status, head.body) == (200, b"")
    assert set(head.headers.keys()) == set(got.headers.keys())
    assert head.headers["Content-Type"] == got.headers["Content-Type"]


def test_the_text_has_the_lines_of_whoami() -> None:
    got = asking("--name=me")("/?x=1", body=b"hello", x_custom="a", user_agent="curl/8")
    lines = got.text.split("\n")
    assert lines[0] == "Name: me"
    assert lines[1].startswith("Hostname: ")
    assert "IP: 127.0.0.1" in lines
    assert "RemoteAddr: 203.0.113.9:4711" in lines
    head = got.text.partition("GET /?x=1 HTTP/1.1\r\n")[2]
    assert head == (
        "Host: 127.0.0.1\r\nUser-Agent: curl/8\r\nContent-Length: 5\r\nX-Custom: a\r\n\r\nhello"
    )


def test_the_json_has_the_keys_of_whoami() -> None:
    got = json.loads(asking("--name=me")("/api?x=1", "POST", x_custom="a").body)
    assert got["name"] == "me"
    assert got["method"] == "POST"
    assert got["url"] == "/api?x=1"
    assert got["host"] == "127.0.0.1"
    assert got["headers"]["X-Custom"] == ["a"]
    assert got["remoteAddr"] == "203.0.113.9:4711"
    assert "127.0.0.1" in got["ip"]
    assert got["hostname"]
    assert "environ" not in got


def test_where_it_runs_is_said_in_every_form() -> None:
    where = {"CLUSTER": "us-east", "REGION": "ewr", "POD_NAME": "pod-1", "NODE_NAME": "node-1"}
    ask = asking(environment=where)
    assert {"Cluster: us-east", "Region: ewr", "Pod: pod-1", "Node: node-1"} < set(
        ask().text.splitlines()
    )
    assert ask("/api").body.count(b'"cluster": "us-east"') == 1
    assert "us-east" in ask(accept="text/html").text


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("*/*", "text/plain; charset=utf-8"),
        ("text/html,*/*;q=0.8", "text/html; charset=utf-8"),
        ("application/json", "application/json"),
    ],
)
def test_the_report_comes_as_what_is_accepted(ask: Ask, accept: str, media: str) -> None:
    got = ask(accept=accept)
    assert got.headers["Content-Type"] == media
    assert got.headers["Vary"] == "Accept"


def test_the_page_escapes_what_the_client_sent(ask: Ask) -> None:
    got = ask("/?<script>", accept="text/html", x_evil="<img src=x onerror=alert(1)>$title")
    assert "<script" not in got.text
    assert "<img" not in got.text
    assert "&lt;img src=x onerror=alert(1)&gt;$title" in got.text


def test_the_page_may_load_nothing_but_its_own_style(ask: Ask) -> None:
    policy = ask(accept="text/html").headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy


@pytest.mark.filterwarnings("ignore:Unknown REQUEST_METHOD")
@pytest.mark.parametrize(
    ("target", "method", "status", "headers"),
    [
        ("/nothing", "GET", 404, {}),
        ("//", "GET", 404, {}),
        ("/bench", "POST", 405, {"Allow": "GET, HEAD, OPTIONS"}),
        ("/echo", "POST", 405, {"Allow": "GET, HEAD, OPTIONS"}),
        ("/health", "POST", 405, {"Allow": "GET, HEAD, OPTIONS"}),
        ("/", "BREW", 405, {"Allow": "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"}),
        ("/", "OPTIONS", 204, {"Allow": "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"}),
        ("/echo", "GET", 426, {"Upgrade": "websocket", "Sec-WebSocket-Version": "13"}),
        ("/?wait=31s", "GET", 400, {}),
        ("/data?size=101&unit=MB", "GET", 400, {}),
        ("/" + "x" * 8190, "GET", 414, {}),
    ],
)
def test_what_cannot_be_had_is_refused_as_http_says(
    ask: Ask, target: str, method: str, status: int, headers: dict[str, str]
) -> None:
    got = ask(target, method)
    assert got.status == status
    assert {name: got.headers[name] for name in headers} == headers
    if status != 204:
        assert got.text.endswith("\n")
        assert got.headers["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("path", [*PATHS])
def test_a_representation_that_is_not_had_is_406(ask: Ask, path: str) -> None:
    assert ask(path, accept="image/png").status == 406


def test_a_body_above_the_limit_is_413() -> None:
    ask = asking("--max-body=10")
    assert ask("/", "POST", b"x" * 10).status == 200
    assert ask("/", "POST", b"x" * 11).status == 413
    assert ask("/api", "POST", b"x" * 11).status == 413


@pytest.mark.parametrize(
    ("query", "size"),
    [
        ("", 1), ("size=5", 5), ("size=2&unit=kb", 2048), ("size=2&unit=KB", 2048),
        ("size=1&unit=mb", 2**20), ("size=-5", 0), ("size=x", 1), ("size=7&unit=parsec", 7),
    ],
)  # fmt: skip
def test_data_has_the_size_and_unit_asked_for(ask: Ask, query: str, size: int) -> None:
    assert len(ask(f"/data?{query}").body) == size


@pytest.mark.parametrize(
    ("wanted", "status", "content"),
    [
        ("", 200, "|ABCDEFGH|"),
        ("bytes=0-3", 206, "|ABC"),
        ("bytes=8-", 206, "H|"),
        ("bytes=-2", 206, "H|"),
        ("bytes=-200", 206, "|ABCDEFGH|"),
        ("bytes=5-500", 206, "EFGH|"),
        ("bytes=10-", 416, "there are 10 bytes\n"),
        ("bytes=-0", 416, "there are 10 bytes\n"),
        ("bytes=5-1", 200, "|ABCDEFGH|"),
        ("bytes=0-1,3-4", 200, "|ABCDEFGH|"),
        ("lines=0-1", 200, "|ABCDEFGH|"),
    ],
)
def test_an_attachment_has_ranges(ask: Ask, wanted: str, status: int, content: str) -> None:
    got = ask("/data?size=10&attachment=true", range=wanted)
    assert (got.status, got.text) == (status, content)
    if status != 416:
        assert got.headers["Content-Disposition"] == "Attachment"
    if status == 206:
        assert got.headers["Content-Range"].endswith("/10")


def test_health_is_what_was_posted_where_that_is_switched_on() -> None:
    ask = asking("--allow-health")
    assert ask("/health", "POST", b"503").status == 200
    assert ask("/health").status == 503
    assert ask("/livez").status == 200
    assert ask("/health", "POST", b"200").status == 200
    assert ask("/health").status == 200


@pytest.mark.parametrize(
    "body", [b"", b"true", b"99", b"[" * 9999, b'"503"', b"1e400", b"\xff", b"600"]
)
def test_a_status_that_is_none_is_refused(body: bytes) -> None:
    ask = asking("--allow-health")
    assert ask("/health", "POST", body).status == 400
    assert ask("/health").status == 200


def test_the_environment_is_shown_only_where_that_is_switched_on() -> None:
    environment = {"SECRET": "s3cret"}
    assert "s3cret" not in asking(environment=environment)("/?env=true").text
    shown = asking("--allow-env", environment=environment)
    assert shown("/?env=true").text.endswith("SECRET=s3cret\n")
    assert json.loads(shown("/api?env=1").body)["environ"] == environment
    assert "s3cret" not in shown("/").text


def test_unknown_paths_are_answered_like_those_of_whoami_on_request() -> None:
    assert "GET /any/path HTTP/1.1" in asking("--any-path")("/any/path").text


def test_a_usable_request_id_is_kept_and_another_replaced(ask: Ask) -> None:
    assert ask(x_request_id="abc-1").headers["X-Request-Id"] == "abc-1"
    assert len(ask(x_request_id="a b\n").headers["X-Request-Id"]) == 16


def test_the_version_is_that_of_the_code_and_the_revision_that_of_the_image() -> None:
    got = json.loads(asking(environment={"FOOBAR_API_REVISION": "abc"})("/version").body)
    assert (got["version"], got["revision"]) == (VERSION, "abc")


def test_the_openapi_document_describes_every_route(ask: Ask) -> None:
    document = yaml.safe_load(ask("/openapi.yaml").body)
    assert set(document["paths"]) == set(Application(load([], {}), {}).routes)
    assert document["info"]["version"] == VERSION


def test_an_error_inside_is_a_500_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ask = asking()
    monkeypatch.setattr("foobar_api.application.Request.of", lambda *_: 1 / 0)
    got = ask("/", x_request_id="broken")
    assert (got.status, got.text) == (500, "internal error\n")
    assert "request broken failed" in caplog.text


ANY_TEXT = st.text(st.characters(codec="latin-1"), max_size=80)


@pytest.mark.filterwarnings("ignore:Unknown REQUEST_METHOD")
@settings(max_examples=300)
@given(
    path=st.one_of(st.sampled_from(PATHS), ANY_TEXT.map(lambda text: "/" + text)),
    query=st.one_of(
        ANY_TEXT,
        st.builds(
            lambda name, value: f"{name}={quote(value)}",
            st.sampled_from(["size", "unit", "attachment", "env", "wait"]),
            st.one_of(st.text(max_size=30), st.integers(-(10**6), 10**6).map(str)),
        ).filter(lambda query: not query.startswith("wait=") or query[5:6] not in "123456789"),
    ),
    method=st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "FOO"]),
    headers=st.dictionaries(
        st.sampled_from(["accept", "range", "x_request_id", "host", "expect", "cookie", "upgrade"]),
        ANY_TEXT,
    ),
    body=st.binary(max_size=40),
)
def test_no_request_makes_a_500(
    path: str, query: str, method: str, headers: dict[str, str], body: bytes
) -> None:
    got = ANYTHING(f"{path}?{query}", method, body, **headers)
    assert 200 <= got.status < 500


ANYTHING = asking("--allow-env", "--allow-health", "--max-data=1MiB", "--max-wait=0s")


@pytest.mark.parametrize(
    ("received", "shown"),
    [
        ("caf\N{LATIN SMALL LETTER E WITH ACUTE} \N{SNOWMAN}".encode(), "café \N{SNOWMAN}"),
        (b"caf\xe9", "café"),
        (b"\xff\xc3\xa9", "ÿÃ©"),
    ],
)
@pytest.mark.parametrize("media", ["text/plain", "text/html", "application/json"])
def test_a_header_is_shown_as_the_text_that_was_sent(
    ask: Ask, received: bytes, shown: str, media: str
) -> None:
    got = ask(accept=media, x_name=received.decode("latin-1"))
    if media == "application/json":
        assert json.loads(got.body)["headers"]["X-Name"] == [shown]
    else:
        assert f"X-Name: {shown}" in got.text


def test_the_text_names_the_server_in_any_script() -> None:
    assert asking("--name=caf\N{SNOWMAN}")("/").text.startswith("Name: caf\N{SNOWMAN}\n")
