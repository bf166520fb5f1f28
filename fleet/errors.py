"""How a mistake of the user is told: a line a problem, and exit code 2."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class InputError(Exception):
    """Input that cannot be worked with. ``problems`` has one line for each thing to mend."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@contextmanager
def exit_on_input_error() -> Iterator[None]:
    """Ends the program without a traceback where the user, not the code, has something to mend.

    Exits with 2 after the problems of an InputError or an error of the file system, and with 130
    after ^C.
    """
    try:
        yield
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        print(f"{error.filename or 'error'}: {error.strerror or error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
