"""Makes DIR a mirror of what upstream.lock holds, by links to the files of SOURCE.

Two files of cert-manager are published with its releases only. Where no release can be downloaded,
SOURCE may have what its chart renders to instead: the same objects, without the licence and the
blank lines that end each template. This puts them back; the lock decides whether it did.

    python .ci/mirror.py SOURCE DIR
"""

import hashlib
import re
import sys
from pathlib import Path
from typing import Final

LICENCE: Final = """\
# Copyright 2022 The cert-manager Authors.
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""
# Positions of the documents that a blank line follows: the last one of each template.
ENDS: Final = (0, 6, 7, 8, 9, 31, 32, 36, 39, 40, 41, 42, 43, 44)


def as_released(text: str) -> str:
    documents = re.split("^---\n", text, flags=re.MULTILINE)
    if len(documents) > len(ENDS):  # not the CRDs alone
        for at in ENDS:
            documents[at] += "\n"
    return LICENCE + "---\n".join(documents)


def main(source: Path, target: Path) -> None:
    for line in Path("upstream.lock").read_text("utf-8").splitlines():
        known, place = line.split()
        original, path = source / place, target / place
        if not original.is_file():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        content = original.read_bytes()
        if "cert-manager/releases/" in place and hashlib.sha256(content).hexdigest() != known:
            path.write_text(as_released(content.decode()), "utf-8")
        else:
            path.symlink_to(original.resolve())


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
