"""``python -m bench.hostile``: what a well-behaved client notices of hostile ones, as a table.

The clients are those of tests/app/test_hostile.py, which bounds what this prints.
"""

import argparse
import tempfile
from pathlib import Path

import trustme

from tests.app.beside import OPTIONS, PROTOCOLS, attacked, slowest
from tests.app.hostile import KINDS
from tests.app.server import Server, mount


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.hostile", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5, help="how long each kind attacks")
    parser.add_argument("kind", nargs="*", help="part of the names of the kinds; none: all")
    arguments = parser.parse_args()
    ca = trustme.CA(key_type=trustme.KeyType.ECDSA)
    with tempfile.TemporaryDirectory() as folder:
        pair = mount(Path(folder) / "cert", ca)
        control = Server(Path(folder), pair, *OPTIONS).wait()
        try:
            print(f"| hostile client | {' | '.join(PROTOCOLS)} |")
            print(f"|---|{'---|' * len(PROTOCOLS)}")
            for kind in KINDS:
                if arguments.kind and not any(part in kind for part in arguments.kind):
                    continue
                server = Server(Path(folder), pair, *OPTIONS).wait()
                try:
                    with attacked(server, kind):
                        found = slowest(server, control, seconds=arguments.seconds)
                finally:
                    server.stop()
                cells = [
                    f"{beside * 1000:.0f} ms ({alone * 1000:.0f})"
                    for beside, alone in found.values()
                ]
                print(f"| {kind} | {' | '.join(cells)} |", flush=True)
        finally:
            control.stop()


if __name__ == "__main__":
    main()
