"""Kubernetes quantities (500m, 2, 4Gi) as exact numbers. Pure."""

from decimal import Decimal, InvalidOperation

_BINARY = {suffix: Decimal(1024) ** n for n, suffix in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi"), 1)}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_FACTORS = _BINARY | {suffix: Decimal(10) ** power for suffix, power in _DECIMAL.items()}


def parse_quantity(text: object) -> Decimal:
    """Return the number that a quantity says.

    Raises:
        ValueError: It is no quantity.
    """
    written = str(text)
    number = written.rstrip("abcdfghijklmnopqrstuvwxyzABCDFGHIJKLMNOPQRSTUVWXYZE")
    try:
        return Decimal(number) * _FACTORS[written[len(number) :]]
    except (InvalidOperation, KeyError) as exc:
        raise ValueError(f"{written!r} is no quantity such as 500m, 2 or 4Gi") from exc


def doubled(text: object) -> str:
    """Return twice a quantity, in its own unit, as a suggestion."""
    written = str(text)
    number = written.rstrip("KMGTPEikmun")
    try:
        return f"{(Decimal(number) * 2).normalize():f}{written[len(number) :]}"
    except InvalidOperation:
        return f"twice {written}"
