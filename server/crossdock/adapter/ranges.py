"""Ranges of crossdock's versions, as adapters and distributions name them."""

from __future__ import annotations

from crossdock import __version__


def unmet(wanted: str) -> str:
    """Return why this crossdock is none of a range, both versions named; "" if it is one.

    Raises ValueError for what is no range.
    """
    # Imported here: most adapters name no range.
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        met = SpecifierSet(wanted).contains(__version__, prereleases=True)
    except InvalidSpecifier:
        raise ValueError(wanted) from None
    return "" if met else f"it is for crossdock {wanted}, and this is crossdock {__version__}"
