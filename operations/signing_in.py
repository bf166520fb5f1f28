"""Signs in to a region's API server as Argo CD will, to find out before Argo CD does."""

import ssl
import urllib.error
import urllib.request
from typing import Final

from operations.cluster import ClusterError
from operations.credentials import Content

TIMEOUT_SECONDS: Final = 10


class AccountRefusedError(ClusterError):
    """The API server does not accept the token of Argo CD's account."""


class WrongAuthorityError(ClusterError):
    """Something with another certificate answers in front of the API server."""

    REMEDY = "give the URL of the API server itself with --server REGION=URL"


def attempt(region: str, server: str, token: Content) -> None:
    """Asks ``server`` with a token and the authority that came with it; raises ClusterError.

    Returns as well if nobody answers: the hub may reach what this machine does not.
    """
    request = urllib.request.Request(  # noqa: S310 - the API server of a kubeconfig
        f"{server}/api", headers={"Authorization": f"Bearer {token['token']}"}
    )
    context = ssl.create_default_context(cadata=token["ca.crt"])
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS, context=context):  # noqa: S310
            pass
    except urllib.error.HTTPError as error:
        with error:
            raise AccountRefusedError(
                region, f"{server} answers {error.code} to the account of Argo CD"
            ) from None
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise WrongAuthorityError(
                region,
                f"the certificate of {server} is not of the cluster's own authority "
                f"({error.reason.verify_message})",
            ) from None
