"""The bindings: what every Kubernetes kind of imports/ is at run time, and their generator.

Importing this package, or imports/, settles which Node jsii runs on, so it comes before the first
import of cdk8s.
"""

from bindings import node

node.choose()
