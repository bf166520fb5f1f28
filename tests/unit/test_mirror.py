"""The mirror of upstream's files: filled, verified and read."""

import argparse
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from fleet import atomic
from fleet.errors import InputError, exit_on_input_error
from tests.objects import ROOT
from tests.unit.conftest import CONTENT, Upstream
from upstream import lock, mirror
from upstream.fetch import download, place

ONE, TWO = CONTENT


def run() -> int:
    parser = argparse.ArgumentParser()
    mirror.configure(parser)
    return mirror.run(parser.parse_args([]))


def files(folder: Path) -> dict[str, bytes]:
    """Everything in ``folder``, leftovers included."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


WHOLE = {place(url): content for url, content in CONTENT.items()}


class TestFilling:
    def test_a_second_run_downloads_nothing_and_says_so(
        self, upstream: Upstream, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run() == 0
        assert files(upstream.mirror) == WHOLE
        assert sorted(upstream.read) == [ONE, TWO]
        assert capsys.readouterr().out == f"{upstream.mirror}: 2 files, 2 of them downloaded now\n"
        upstream.content.clear()
        assert run() == 0
        assert capsys.readouterr().out == (
            f"{upstream.mirror}: 2 files, none of them downloaded now\n"
        )
        assert len(upstream.read) == 2

    def test_only_what_is_missing_or_wrong_is_downloaded(self, upstream: Upstream) -> None:
        run()
        upstream.read.clear()
        upstream.mirrored(TWO).write_bytes(b"kind: Old\n")
        (upstream.mirror / "another file").write_bytes(b"stays")
        run()
        assert upstream.read == [TWO]
        assert files(upstream.mirror) == {**WHOLE, "another file": b"stays"}

    def test_other_content_is_rejected_with_one_line_per_file(
        self, upstream: Upstream, capsys: pytest.CaptureFixture[str]
    ) -> None:
        evil = b"kind: Evil\n"
        upstream.content = dict.fromkeys(CONTENT, evil)
        with pytest.raises(SystemExit) as caught, exit_on_input_error():
            run()
        assert caught.value.code == 2
        lines = capsys.readouterr().err.splitlines()
        assert [line.split(": ")[0] for line in lines] == [ONE, TWO]
        for line, content in zip(lines, CONTENT.values(), strict=True):
            assert f"has sha256 {lock.digest(evil)}" in line
            assert f"upstream.lock has {lock.digest(content)}; find out why" in line
        assert not files(upstream.mirror)

    def test_what_can_be_had_is_kept_beside_what_cannot(self, upstream: Upstream) -> None:
        del upstream.content[ONE]
        with pytest.raises(InputError) as caught:
            run()
        assert caught.value.problems == (f"{ONE}: the server answers 404 Not Found",)
        assert files(upstream.mirror) == {place(TWO): CONTENT[TWO]}

    def test_a_wrong_file_does_not_stay_without_network(self, upstream: Upstream) -> None:
        run()
        upstream.content.clear()
        upstream.mirrored(TWO).write_bytes(b"kind: Evil\n")
        with pytest.raises(InputError, match=TWO):
            run()
        assert files(upstream.mirror) == {place(ONE): CONTENT[ONE]}

    def test_a_folder_that_cannot_be_written_is_named(self, upstream: Upstream) -> None:
        upstream.mirror.write_text("a file")
        with pytest.raises(InputError) as caught:
            run()
        assert [line.split(": ")[0] for line in caught.value.problems] == [
            str(upstream.mirrored(ONE)),
            str(upstream.mirrored(TWO)),
        ]

    def test_a_full_disk_leaves_nothing_behind(
        self, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(self: Path, target: Path) -> Path:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Path, "replace", full)
        with pytest.raises(InputError, match=r"bundle\.yaml: No space left on device"):
            run()
        assert not files(upstream.mirror)


class Handler(BaseHTTPRequestHandler):
    """Serves ``/whole``; breaks off within ``/half``."""

    def do_GET(self) -> None:
        if self.path not in {"/whole", "/half"}:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", "10")
        self.end_headers()
        self.wfile.write(b"0123456789" if self.path == "/whole" else b"01234")

    def log_message(self, *arguments: object) -> None:
        """Stays silent."""


@pytest.fixture
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()
        thread.join()


class TestDownload:
    def test_it_is_the_content(self, server: str) -> None:
        assert download(f"{server}/whole") == b"0123456789"

    def test_one_that_breaks_off_is_no_file(self, server: str, tmp_path: Path) -> None:
        url = f"{server}/half"
        with pytest.raises(InputError, match=rf"^{url}: .*5 bytes read, 5 more expected"):
            mirror.fill(tmp_path, {url: lock.digest(b"0123456789")}, download)
        assert not files(tmp_path)

    def test_an_error_of_the_server_is_told(self, server: str) -> None:
        with pytest.raises(InputError, match=r"/missing: the server answers 404 Not Found$"):
            download(f"{server}/missing")

    def test_without_network_the_remedy_is_a_mirror(self) -> None:
        with pytest.raises(InputError, match=r"Connection refused; .*set UPSTREAM_MIRROR to a fol"):
            download("http://127.0.0.1:1/file")


class TestFolder:
    def test_it_is_in_the_cache_unless_it_is_named(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.delenv(mirror.VARIABLE, raising=False)
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        monkeypatch.setenv("HOME", str(tmp_path))
        assert mirror.folder() == tmp_path / ".cache/foobar-platform/upstream"
        monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
        assert mirror.folder() == Path("/cache/foobar-platform/upstream")
        monkeypatch.setenv(mirror.VARIABLE, "/named")
        assert mirror.folder() == Path("/named")

    def test_it_is_found_if_it_has_every_file(self, upstream: Upstream) -> None:
        assert mirror.find() is None
        run()
        assert mirror.find() == upstream.mirror
        upstream.mirrored(ONE).unlink()
        assert mirror.find() is None

    def test_verifying_names_every_file_that_is_missing_or_wrong(self, upstream: Upstream) -> None:
        run()
        mirror.verify(upstream.mirror, lock.read())
        upstream.mirrored(ONE).unlink()
        upstream.mirrored(TWO).write_bytes(b"kind: Evil\n")
        with pytest.raises(InputError) as caught:
            mirror.verify(upstream.mirror, lock.read())
        missing, wrong = caught.value.problems
        assert missing == f"{upstream.mirrored(ONE)}: is missing; run `make mirror`"
        assert wrong.startswith(f"{upstream.mirrored(TWO)}: has sha256 ")
        assert wrong.endswith("run `make mirror`")


class TestReading:
    def test_the_mirror_comes_before_the_network(self, upstream: Upstream) -> None:
        run()
        upstream.read.clear()
        assert mirror.reader(None)(ONE) == CONTENT[ONE]
        assert upstream.read == []

    def test_what_was_downloaded_is_kept(self, upstream: Upstream) -> None:
        read = mirror.reader(None)
        assert (read(ONE), read(ONE)) == (CONTENT[ONE], CONTENT[ONE])
        assert upstream.read == [ONE]

    def test_a_wrong_file_is_downloaded_again(self, upstream: Upstream) -> None:
        run()
        upstream.mirrored(ONE).write_bytes(b"kind: Evil\n")
        assert mirror.reader(None)(ONE) == CONTENT[ONE]
        assert files(upstream.mirror) == WHOLE

    def test_a_wrong_file_is_named_before_the_network_that_fails(self, upstream: Upstream) -> None:
        run()
        evil = b"kind: Evil\n"
        upstream.mirrored(ONE).write_bytes(evil)
        upstream.content.clear()
        with pytest.raises(InputError) as caught:
            mirror.reader(None)(ONE)
        (told,) = caught.value.problems
        assert told == (
            f"{upstream.mirrored(ONE)}: has sha256 {lock.digest(evil)}, but upstream.lock has "
            f"{lock.digest(CONTENT[ONE])}, and cannot be downloaded again: "
            f"{ONE}: the server answers 404 Not Found"
        )
        assert upstream.mirrored(ONE).read_bytes() == evil

    def test_a_folder_that_the_user_names_is_verified_and_left_alone(
        self, upstream: Upstream, tmp_path: Path
    ) -> None:
        folder = tmp_path / "named"
        (folder / place(ONE)).parent.mkdir(parents=True)
        (folder / place(ONE)).write_bytes(CONTENT[ONE])
        (folder / place(TWO)).write_bytes(b"kind: Evil\n")
        before = files(folder)
        read = mirror.reader(folder)
        assert read(ONE) == CONTENT[ONE]
        with pytest.raises(InputError, match=f"^{TWO}: has sha256 .* but upstream.lock has"):
            read(TWO)
        assert (files(folder), upstream.read) == (before, [])
        assert not upstream.mirror.exists()

    @pytest.mark.parametrize("named", [True, False])
    def test_what_is_not_locked_is_not_read(
        self, upstream: Upstream, tmp_path: Path, *, named: bool
    ) -> None:
        read = mirror.reader(tmp_path if named else None)
        with pytest.raises(InputError, match=r"^https://x\.example/y: is not in upstream\.lock; "):
            read("https://x.example/y")
        assert upstream.read == []


def test_a_file_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "folder/file"
    atomic.write(path, b"old")

    def fail(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(KeyboardInterrupt):
        atomic.write(path, b"new")
    assert files(tmp_path) == {"folder/file": b"old"}


@pytest.mark.parametrize(
    ("exists", "outcome"),
    [(False, "1 skipped"), (True, "bundle.yaml: is missing; run `make mirror`")],
)
def test_tests_skip_without_a_mirror_and_fail_on_a_broken_one(
    tmp_path: Path, outcome: str, *, exists: bool
) -> None:
    folder = tmp_path / "mirror"
    if exists:
        folder.mkdir()
    test = "tests/unit/test_bindings.py::test_regenerating_gives_the_committed_bytes"
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", test],
        cwd=ROOT,
        env={**os.environ, mirror.VARIABLE: str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == (1 if exists else 0)
    assert outcome in result.stdout
    assert "make mirror" in result.stdout
