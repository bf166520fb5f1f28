"""The OpenAPI document against the real server: schemathesis asks whatever the document allows."""

import subprocess
import sys
from pathlib import Path

from tests.app.conftest import Serve


def test_the_server_is_as_its_document_says(serve: Serve, tmp_path: Path) -> None:
    server = serve("--max-wait=10ms", "--max-data=64KiB", "--allow-health", "--allow-env")
    done = subprocess.run(
        [
            Path(sys.executable).with_name("schemathesis"), "run",
            f"{server.url}/openapi.yaml", "--tls-verify=false", "--max-examples=40",
            "--phases=examples,coverage,fuzzing", "--generation-deterministic",
            # An echo takes what is not in its document, and its limits are settings.
            "--exclude-checks=positive_data_acceptance,negative_data_rejection",
            # No client of plain HTTP speaks to it.
            "--exclude-path=/echo",
            # Gives whatever status was posted, 503 included.
            "--exclude-operation-id=health",
        ],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "traceback" not in server.errors
