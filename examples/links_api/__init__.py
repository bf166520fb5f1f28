"""A service of short links: an example of an app that a team brings to the platform.

Starlette on uvicorn, links in PostgreSQL. Traefik terminates TLS in front of it.
"""
