"""Installs the grammar into the cache: ``python -m tests.logql``, by way of ``make tools``."""

from tests import logql

logql.PACKAGES.install()
