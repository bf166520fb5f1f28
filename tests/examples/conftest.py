"""A PostgreSQL server, once a run, and a database of it for each test."""

import secrets
from collections.abc import Iterator

import pytest

from tests.postgres import Postgres, served


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with served() as server:
        yield server


@pytest.fixture
def database(postgres: Postgres) -> str:
    """The URL of an empty database."""
    return postgres.create(f"test-{secrets.token_hex(4)}")
