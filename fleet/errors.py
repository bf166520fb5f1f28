"""How every command ends when the user has something to fix: a line per problem, exit code 2."""

import errno
import json
import os
import re
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_JSII: Final = "jsii._kernel.providers.process"
"""The module of jsii that starts Node and talks to it."""

_NODE_ERROR: Final = re.compile(r"(?:Error: )?(.*\b(E[A-Z0-9]+): .*)", re.DOTALL)
"""How Node words an error of the operating system: ``ENOSPC: no space left on device, write``."""


class InputError(Exception):
    """Input that cannot be worked with. ``problems`` has one line for each thing to fix."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@contextmanager
def exit_on_input_error() -> Iterator[None]:
    """Ends the program without a traceback where the user, not the code, has something to fix.

    Exits with 2 after an InputError, an error of the operating system, requirements that are not
    installed, or a Node that does not run; with 130 after ^C; and quietly with 141 when nobody
    reads standard output any more, as a shell command does.
    """
    try:
        with _flushed():
            yield
    except KeyboardInterrupt:
        _ignore_failures_at_exit()
        sys.exit(130)
    except Exception as error:
        problems = _problems(error)
        if not problems:
            raise
        _ignore_failures_at_exit()
        if isinstance(error, BrokenPipeError) and not _in_jsii(error):
            sys.exit(141)
        print(*problems, sep="\n", file=sys.stderr)
        sys.exit(2)


def _ignore_failures_at_exit() -> None:
    """Whatever else fails on the way out has the same cause, and would print a traceback.

    For example, jsii cannot stop a Node that never ran, or that ^C in a terminal ended as well.
    Python cannot write out what standard output does not take.
    """
    sys.unraisablehook = lambda unraisable: None


@contextmanager
def _flushed() -> Iterator[None]:
    """Writes out what is printed: at exit it would be too late for an exit code."""
    try:
        yield
    finally:
        try:
            sys.stdout.flush()
        except OSError:
            # Or Python tries again at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise


def _problems(error: Exception) -> Sequence[str]:
    """What the user has to fix; nothing if the fault is in the code."""
    if isinstance(error, InputError):
        return error.problems
    if isinstance(error, ImportError):
        return _of_requirements(error)
    if _in_jsii(error):
        return _of_node(error)
    return [_of_system(error)] if isinstance(error, OSError) else ()


def _in_jsii(error: Exception) -> bool:
    """Whether the error came up while jsii started Node, or spoke to it."""
    frames = traceback.walk_tb(error.__traceback__)
    return any(frame.f_globals.get("__name__") == _JSII for frame, _ in frames)


def _of_requirements(error: ImportError) -> Sequence[str]:
    """Of a package that is missing, or of another version than the pinned one."""
    top = (error.name or "").partition(".")[0]
    root = Path(__file__).resolve().parent.parent
    if top and ((root / top).is_dir() or (root / f"{top}.py").is_file()):
        return ()
    return [f"{error}; install what is pinned: {sys.executable} -m pip install -r requirements.txt"]


def _of_node(error: Exception) -> Sequence[str]:
    node = os.environ.get("JSII_NODE", "node")
    if isinstance(error, BrokenPipeError | json.JSONDecodeError | AssertionError):
        told = "the Node that cdk8s runs on does not answer"
        return [f"{node}: {told}; see what `{node} --version` says, and whether memory ran out"]
    if isinstance(error, OSError):
        return [_of_system(error)]
    found = _NODE_ERROR.match(str(error))
    if found is None or found[2] not in errno.errorcode.values():
        return ()
    text = " ".join(found[1].split())
    folder = os.environ.get("TMPDIR")
    wrong = f"; TMPDIR is {folder}: correct or unset it" if folder and folder in text else ""
    return [f"{text}{_remedy(found[2]) or wrong}"]


def _of_system(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    code = errno.errorcode.get(error.errno or 0, "")
    return f"{where}{error.strerror or error}{_remedy(code)}"


def _remedy(code: str) -> str:
    if code in {"ENOSPC", "EDQUOT"}:
        return "; free space where the output goes and in the temporary folder (TMPDIR)"
    return ""
