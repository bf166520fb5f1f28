"""upstream.lock: its form, and the command that changes it."""

import argparse
from pathlib import Path

import pytest

from fleet.errors import InputError
from rendering import lock as locking
from tests.unit.conftest import CONTENT, Upstream
from upstream import lock

ONE, TWO = CONTENT
NEW = "https://files.example.org/three.yaml"
SUM = lock.digest(b"")


@pytest.fixture
def used(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """What the code uses, to be changed by the test: at first what is locked."""
    urls = set(upstream.content)
    monkeypatch.setattr(locking, "used", lambda: urls)
    return urls


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    locking.configure(parser)
    return locking.run(parser.parse_args(arguments))


def test_the_lock_has_exactly_what_the_code_uses() -> None:
    assert lock.read().keys() == locking.used(), "run `make lock`"


def test_sha256sum_reads_the_lock(upstream: Upstream) -> None:
    assert lock.PATH.read_text() == (
        f"{lock.digest(CONTENT[ONE])}  files.example.org/one/bundle.yaml\n"
        f"{lock.digest(CONTENT[TWO])}  files.example.org/two.yaml\n"
    )
    assert lock.read() == {url: lock.digest(content) for url, content in CONTENT.items()}


@pytest.mark.parametrize(
    "line",
    [
        "",
        "nonsense",
        f"{SUM} a.example.org/one-space",
        f"{SUM[1:]}  a.example.org/short",
        f"{SUM.upper()}  a.example.org/upper",
        f"{SUM}  a.example.org",
        f"{SUM}  https://a.example.org/b",
        f"{SUM}  a.example.org/b?c",
        f"{SUM}  a.example.org/b c",
        f"{SUM}  ../../etc/passwd",
        f"{SUM}  a.example.org/../../b",
        f"{SUM}  /etc/passwd",
        "<<<<<<< HEAD",
    ],
)
def test_a_malformed_line_is_named(upstream: Upstream, line: str) -> None:
    lock.PATH.write_text(f"{SUM}  a.example.org/b\n{line}\n{SUM}  a.example.org/c/\n")
    with pytest.raises(InputError) as caught:
        lock.read()
    assert [each.split(" ")[0] for each in caught.value.problems] == [
        "upstream.lock:2:",
        "upstream.lock:3:",
    ]
    assert "is not `<sha256>  <host>/<path>`; remove the line and run" in str(caught.value)


def test_a_url_is_locked_once(upstream: Upstream) -> None:
    lock.PATH.write_text(f"{SUM}  a.example.org/b\n" * 2)
    with pytest.raises(
        InputError, match=r"upstream\.lock:2: locks https://a\.example\.org/b a sec"
    ):
        lock.read()


@pytest.mark.parametrize(
    ("content", "message"), [(None, "does not exist; restore it"), (b"\xff", "is not text")]
)
def test_a_lock_that_cannot_be_read_is_named(
    upstream: Upstream, content: bytes | None, message: str
) -> None:
    lock.PATH.unlink()
    if content is not None:
        lock.PATH.write_bytes(content)
    with pytest.raises(InputError, match=rf"^upstream\.lock: {message}"):
        lock.read()


def test_a_new_url_is_locked_and_kept_in_the_mirror(
    upstream: Upstream, used: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    used.add(NEW)
    upstream.content[NEW] = b"kind: Three\n"
    assert run() == 0
    assert capsys.readouterr().out == f"+ {NEW}\n"
    assert lock.read()[NEW] == lock.digest(b"kind: Three\n")
    assert upstream.read == [NEW]
    assert upstream.mirrored(NEW).read_bytes() == b"kind: Three\n"


def test_a_new_url_is_read_from_the_mirror_if_it_is_there(
    upstream: Upstream, used: set[str]
) -> None:
    used.add(NEW)
    upstream.mirrored(NEW).parent.mkdir(parents=True)
    upstream.mirrored(NEW).write_bytes(b"kind: Three\n")
    assert run() == 0
    assert lock.read()[NEW] == lock.digest(b"kind: Three\n")
    assert upstream.read == []


def test_an_unused_url_is_dropped(
    upstream: Upstream, used: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    used.remove(ONE)
    assert run() == 0
    assert capsys.readouterr().out == f"- {ONE}\n"
    assert lock.read().keys() == {TWO}


def test_without_a_change_no_file_is_read(
    upstream: Upstream, used: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    upstream.content.clear()
    before = lock.PATH.stat()
    assert run() == 0
    assert capsys.readouterr().out == "upstream.lock: up to date, 2 files\n"
    assert (upstream.read, lock.PATH.stat().st_ino) == ([], before.st_ino)
    assert not upstream.mirror.exists()


def test_a_lock_that_was_deleted_is_made_anew(upstream: Upstream, used: set[str]) -> None:
    text = lock.PATH.read_text()
    lock.PATH.unlink()
    assert run() == 0
    assert lock.PATH.read_text() == text


def test_changed_content_is_refused_until_it_is_accepted(
    upstream: Upstream, used: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Upstream may have moved a tag, or an attacker may have."""
    folder = tmp_path / "downloaded/files.example.org"
    folder.mkdir(parents=True)
    evil = b"kind: Evil\n"
    (folder / "two.yaml").write_bytes(evil)
    (folder / "three.yaml").write_bytes(b"kind: Three\n")
    before = lock.PATH.read_text()
    used.add(NEW)
    with pytest.raises(InputError) as caught:
        run("--mirror", str(folder.parent))
    (line,) = caught.value.problems
    assert line.startswith(f"{TWO}: has sha256 {lock.digest(evil)}, ")
    assert "python -m fleet lock --accept" in line
    assert lock.PATH.read_text() == before
    used.remove(ONE)
    assert run("--mirror", str(folder.parent), "--accept") == 0
    assert capsys.readouterr().out.splitlines() == [f"+ {NEW}", f"~ {TWO}", f"- {ONE}"]
    assert lock.read() == {
        NEW: lock.digest(b"kind: Three\n"),
        TWO: lock.digest(evil),
    }
    assert upstream.read == []


def test_accept_asks_the_network_and_not_the_mirror(upstream: Upstream, used: set[str]) -> None:
    upstream.mirrored(TWO).parent.mkdir(parents=True)
    upstream.mirrored(TWO).write_bytes(CONTENT[TWO])
    upstream.content[TWO] = b"kind: Corrected\n"
    assert run("--accept") == 0
    assert sorted(upstream.read) == [ONE, TWO]
    assert lock.read()[TWO] == lock.digest(b"kind: Corrected\n")
    assert upstream.mirrored(TWO).read_bytes() == b"kind: Corrected\n"


@pytest.mark.parametrize("arguments", [(), ("--accept",)])
def test_files_that_cannot_be_read_are_all_named(
    upstream: Upstream, used: set[str], arguments: tuple[str, ...]
) -> None:
    other = "https://files.example.org/four.yaml"
    used |= {NEW, other}
    before = lock.PATH.read_text()
    with pytest.raises(InputError) as caught:
        run(*arguments)
    assert [line.split(": ")[0] for line in caught.value.problems] == [other, NEW]
    assert lock.PATH.read_text() == before
    assert not upstream.mirror.exists()


def test_check_names_what_differs_and_reads_no_file(
    upstream: Upstream, used: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--check") == 0
    assert capsys.readouterr().out == ""
    used.add(NEW)
    used.remove(ONE)
    before = lock.PATH.read_text()
    assert run("--check") == 1
    assert capsys.readouterr().out.splitlines() == [
        f"+ {NEW}",
        f"- {ONE}",
        "upstream.lock: run `make lock`",
    ]
    assert (upstream.read, lock.PATH.read_text()) == ([], before)


def test_a_malformed_lock_is_not_overwritten(upstream: Upstream, used: set[str]) -> None:
    lock.PATH.write_text("<<<<<<< HEAD\n")
    with pytest.raises(InputError, match=r"upstream\.lock:1: "):
        run()
    assert lock.PATH.read_text() == "<<<<<<< HEAD\n"


def test_a_url_that_no_mirror_can_have_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Component:
        BUNDLES = ("https://files.example.org/bundle?version=1",)

    monkeypatch.setattr(locking, "COMPONENTS", (Component,))
    with pytest.raises(InputError, match=r"^https://files\.example\.org/bundle\?version=1: is not"):
        locking.used()
