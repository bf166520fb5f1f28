"""The bindings are cdk8s constructs with exact types, and come from the published APIs alone."""

import argparse
import json
import os
import re
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cdk8s import ApiObject, App, Chart, Helm, JsonPatch, Testing
from constructs import Construct, IValidation, Node
import jsii

from fleet import bindings, jsii_module
from imports._resource import bulk
from imports.cert_manager import Certificate, ClusterIssuer
from imports.k8s import ConfigMap, Deployment, Namespace, Service

ROOT = Path(__file__).parents[2]
