"""``Manifest``: a cdk8s ApiObject made from JSON text, by one call into node.

It takes a class on the node side: of the props of an ApiObject the jsii kernel drops every key that
the struct does not declare (spec, data, ...). manifest.ts is that class; _jsii/ holds it compiled,
rebuilt by ``python -m fleet import --jsii``.
"""

from collections.abc import Sequence
from typing import Any

import jsii
from cdk8s import ApiObject
from constructs import Construct

from bindings.manifest._jsii import ASSEMBLY

__all__ = ["Manifest"]


class Manifest(ApiObject, jsii_type=f"{ASSEMBLY.name}.Manifest"):
    __jsii_ref__: Any

    def __init__(self, scope: Construct, id: str, json: str) -> None:
        jsii.create(type(self), self, [scope, id, json])

    @staticmethod
    def create_all(scopes: Sequence[Construct], json: str) -> None:
        """Creates the objects of ``json``, a list of [index into scopes, id, object]."""
        jsii.sinvoke(Manifest, "createAll", [list(scopes), json])

    @staticmethod
    def quote(pattern: str) -> None:
        """Makes cdk8s quote every string that ``pattern`` matches, besides those it always does."""
        jsii.sinvoke(Manifest, "quote", [pattern])
