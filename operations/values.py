"""Types of options: argparse reports a value that is out of range and exits with 2."""

import argparse
import ipaddress
import math


def positive(text: str) -> float:
    """A finite number above 0."""
    number = not_negative(text)
    if not number:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def not_negative(text: str) -> float:
    """A finite number, 0 or above."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number >= 0):
        raise argparse.ArgumentTypeError(f"{text} is not a number from 0 up")
    return number


def ip_address(text: str) -> str:
    """An address of IPv4 or IPv6."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is not an IP address") from None
    return text
