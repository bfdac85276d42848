"""Figures as people read them."""

from __future__ import annotations


def time_text(seconds: float) -> str:
    """A duration with three digits and the unit that suits it."""
    if seconds < 0.001:
        return f"{seconds * 1_000_000:.0f} µs"
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms" if seconds < 0.9995 else "1 s"
    return f"{seconds:.3g} s" if seconds < 999.5 else f"{seconds:.0f} s"


def rate_text(rate: float) -> str:
    """A number a second."""
    return f"{rate:.3g}/s" if rate < 999.5 else f"{rate:,.0f}/s"


def share_text(share: float) -> str:
    """A share in per cent; nothing that exists is shown as 0."""
    if 0 < share < 0.0001:
        return "<0.01 %"
    return f"{share * 100:.3g} %"


def percentile_text(percentile: float) -> str:
    """The name of a percentile."""
    return f"p{percentile:g}"
