import fleet  # noqa: F401 - refuses a Python that is not supported, before conftest.py needs anything
