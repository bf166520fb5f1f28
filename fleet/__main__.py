"""``python -m fleet``: runs ``commands``."""

import sys

from commands import main
from fleet.errors import exit_on_input_error

if __name__ == "__main__":
    with exit_on_input_error():
        sys.exit(main(sys.argv[1:]))
