"""Loads the compiled module into jsii, after the modules it builds on."""

import cdk8s._jsii  # noqa: F401
import constructs._jsii  # noqa: F401
import jsii

ASSEMBLY = jsii.JSIIAssembly.load(
    "bindings-manifest", "1.0.0", __name__.removesuffix("._jsii"), "manifest.tgz"
)
