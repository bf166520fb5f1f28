"""The conformance suite of HTTP/2 and HPACK, which `make tools` builds, against the real server."""

import shutil
import subprocess

import pytest

from tests.app.conftest import Serve

H2SPEC = shutil.which("h2spec")


@pytest.mark.skipif(H2SPEC is None, reason="needs h2spec: `make tools` builds it")
def test_h2spec_finds_no_deviation(serve: Serve) -> None:
    assert H2SPEC
    server = serve("--workers=1")
    done = subprocess.run(
        [H2SPEC, "--tls", "--insecure", "--strict", "--host=127.0.0.1", f"--port={server.port}",
         "--timeout=5"],
        capture_output=True, check=False, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert " 0 skipped, 0 failed" in done.stdout
    assert "traceback" not in server.errors
