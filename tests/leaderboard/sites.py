"""A small leaderboard as pages, and what a browser makes of them."""

import re
from html.parser import HTMLParser

import numpy as np
from boards import make_benchmark, make_published

BENCHMARK = make_benchmark(("oak", "elm"), (10, 50))
HALF = np.full((4, 50), 2)
REFERENCE = make_published(BENCHMARK, "reference", np.full((4, 50), 4))
BETTER = make_published(BENCHMARK, "better", HALF, is_submission=True, pulls=150, seconds=25.0)
WORSE = make_published(BENCHMARK, "worse", np.full((4, 50), 8), seconds=200.0)
PUBLISHED = (REFERENCE, WORSE, BETTER)


class Page(HTMLParser):
    """What a browser makes of a page: its tags with their attributes, the texts between, and its inline code."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.tags, self.texts, self.code = [], [], {"script": [], "style": []}
        self._inside = None
        self.feed(html)
        self.text = "".join(self.texts)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self._inside = tag if tag in self.code else None

    def handle_endtag(self, tag):
        self._inside = None

    def handle_data(self, data):
        (self.texts if self._inside is None else self.code[self._inside]).append(data)

    def links(self):
        return [attributes["href"] for tag, attributes in self.tags if tag == "a"]


def pages_of(folder):
    return {place.name: Page(place.read_text(encoding="utf-8")) for place in folder.glob("*.html")}


def squeezed(page):
    return re.sub(r"\s+", " ", " ".join(page.texts))
