"""The gem card: what a search found, how sure that is, what it cost and how to repeat it, on one page."""

from gembench.gem_card.facts import CardModel, Cost, Failed, GemCard, Margin, Verification
from gembench.gem_card.rendering import to_html, to_json, to_markdown

__all__ = [
    "CardModel",
    "Cost",
    "Failed",
    "GemCard",
    "Margin",
    "Verification",
    "to_html",
    "to_json",
    "to_markdown",
]
