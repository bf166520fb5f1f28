"""The OpenAPI document against the real server: schemathesis asks whatever the document allows."""

import subprocess
import sys
from http import HTTPStatus
from importlib.resources import files
from pathlib import Path

import yaml

from tests.app.conftest import Serve


def test_the_server_is_as_its_document_says(serve: Serve, tmp_path: Path) -> None:
    server = serve("--max-wait=1s", "--max-data=4MiB", "--allow-health", "--allow-env")
    done = subprocess.run(
        [
            Path(sys.executable).with_name("schemathesis"), "run",
            f"{server.url}/openapi.yaml", "--tls-verify=false", "--max-examples=40",
            "--phases=examples,coverage,fuzzing", "--generation-deterministic",
            # Defaults may change: every check, on valid and on invalid requests.
            "--checks=all", "--mode=all",
            # No client of plain HTTP speaks to it.
            "--exclude-path=/echo",
            # Gives whatever status was posted, 503 included.
            "--exclude-operation-id=health",
        ],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "No issues found" in done.stdout
    assert "traceback" not in server.errors


def test_the_document_lists_every_status_that_health_takes() -> None:
    document = yaml.safe_load(files("foobar_api").joinpath("openapi.yaml").read_text())
    body = document["paths"]["/health"]["post"]["requestBody"]
    assert body["content"]["application/json"]["schema"]["enum"] == sorted(
        status for status in HTTPStatus if status >= HTTPStatus.OK
    )
