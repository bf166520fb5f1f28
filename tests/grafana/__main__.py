"""Installs the schema into the cache: ``python -m tests.grafana``, by way of ``make tools``."""

from tests import grafana

grafana.PACKAGES.install()
