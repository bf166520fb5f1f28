"""Typed bindings of every Kubernetes kind the platform uses.

``python -m fleet import`` generates the modules from the URLs in cdk8s.yaml; nobody edits them.
"""

import bindings  # noqa: F401 - settles which Node jsii runs on
