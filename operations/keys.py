"""Private keys that people have in files."""

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from fleet.diagnostics import shown
from fleet.errors import InputError


def private_key(variable: str, path: str) -> str:
    """The text of the private key in the file ``path``, which ``variable`` names.

    Raises InputError, which never shows what is in the file, unless it is a key that a program can
    use by itself.
    """
    try:
        text = Path(path).expanduser().read_text("ascii")
    except (OSError, ValueError):
        raise InputError(
            f"{variable}: {shown(path)} cannot be read; set it to the path of a private key"
        ) from None
    openssh = text.startswith("-----BEGIN OPENSSH")
    load = serialization.load_ssh_private_key if openssh else serialization.load_pem_private_key
    try:
        load(text.encode(), None)
    except (TypeError, ValueError, UnsupportedAlgorithm) as error:
        if isinstance(error, TypeError) or "password" in str(error).lower():
            fault = "needs a passphrase, which Argo CD cannot enter; give a key without one"
        else:
            fault = "holds no private key; set it to the path of one in the form of OpenSSH or PEM"
        raise InputError(f"{variable}: {shown(path)} {fault}") from None
    return text
