import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gembench.leaderboard.site.links import LinkedText, atlas_page, linked_text, policy_page


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("javascript:alert(1)", LinkedText("javascript:alert(1)")),
        ("data:text/html,hello", LinkedText("data:text/html,hello")),
        ("ftp://example.org", LinkedText("ftp://example.org")),
        ("//example.org/x", LinkedText("//example.org/x")),
        ("https://bank.example@evil.example/", LinkedText("https://bank.example@evil.example/")),
        ("https://[broken", LinkedText("https://[broken")),
        ("Audibert, COLT 2010, figure 1", LinkedText("Audibert, COLT 2010, figure 1")),
        ("http://a.example", LinkedText("", "http://a.example", "http://a.example")),
        (
            'see https://a.example/"onclick=x',
            LinkedText("see ", "https://a.example/", "https://a.example/", '"onclick=x'),
        ),
        (
            "Us, arXiv 2601.22157, eq. 3",
            LinkedText("Us, ", "arXiv 2601.22157", "https://arxiv.org/abs/2601.22157", ", eq. 3"),
        ),
        ("arXiv:1306.4321v2", LinkedText("", "arXiv:1306.4321v2", "https://arxiv.org/abs/1306.4321v2")),
        (
            "JASA 100, doi:10.1198/016214504000000539.",
            LinkedText(
                "JASA 100, doi:", "10.1198/016214504000000539", "https://doi.org/10.1198/016214504000000539", "."
            ),
        ),
    ],
)
def test_only_web_addresses_arxiv_ids_and_dois_are_linked(text, expected):
    assert linked_text(text) == expected


@given(text=st.text() | st.from_regex(r".{0,9}(https?://|arxiv:|10\.1234/).{0,30}"))
def test_no_text_is_lost_or_changed_around_a_link(text):
    part = linked_text(text)
    assert part.before + part.linked + part.after == text
    assert part.url == "" or re.fullmatch(r"(?i:https?)://[!#-&(-;=?-_a-z~]+", part.url)


@given(names=st.lists(st.text(max_size=12) | st.text("aAbB.~/-_ ", max_size=4), min_size=2, max_size=8, unique=True))
def test_page_names_are_safe_and_differ_wherever_names_do(names):
    for page_of in (policy_page, atlas_page):
        pages = [page_of(name) for name in names]
        assert len({page.lower() for page in pages}) == len(names)
        for page in pages:
            assert re.fullmatch(r"(policy|atlas)-[a-z0-9._-]*(~[0-9a-f]{16})?\.html", page)


def test_nobody_takes_anothers_page_by_choosing_its_name():
    page = policy_page("Greedy!")
    assert policy_page(page.removeprefix("policy-").removesuffix(".html")) != page
