import json
import re
from dataclasses import asdict, replace
from html.parser import HTMLParser
from types import MappingProxyType

import pytest
from markdown_it import MarkdownIt

from gembench.gem_card import (
    CardModel,
    Cost,
    Failed,
    GemCard,
    Margin,
    Verification,
    to_html,
    to_json,
    to_markdown,
)
from gembench.gem_card.rendering import markdown_text
from gembench.gem_card.words import chance, counted, duration, hub_url, one_line, p_value, parameters, points, times

BASE = CardModel("org/base", 0.58, (0.5, 0.66), 50, 412_035, "apache-2.0", "", "", 3_085_938_688, "")
WINNER = CardModel("ann/math@1f2e", 77 / 120, (0.61, 0.6834), 120, 88, "mit", "org/base", "org/base", 3_085_938_688, "")
CARD = GemCard(
    version="0.1.0",
    created="2026-11-22T14:05:31+00:00",
    source="reasoning",
    num_models=51,
    num_queries=500,
    policy="ucb_e:exploration=2",
    sampling="shared",
    queries="drawn",
    history_tensors=(),
    history=(),
    prior=None,
    queries_per_model=10,
    budget=510,
    seed=3,
    run=7,
    ended="plan",
    confidence=0.95,
    regret_bound=0.0214,
    ranking=(WINNER, BASE),
    margins=(Margin("base", "org/base", 0.0532, (-0.011, 0.0955), 72),),
    gem_probability=0.834,
    gem_unknown_because="",
    verification=Verification("org/base", 200, 31, 12, 0.095, (0.031, 0.158), 0.0027, True),
    cost=Cost(510, 98, 11_520.0, 25_500, 51, 98_300.0, "measured"),
    failed=(Failed("bad/one", "gated", "log in first"),),
    num_ungraded=1,
    engine={"engine": "vllm", "max_tokens": 256, "sampling": {"temperature": 0.0}},
    command="gembench search --tree org/base --seed 3",
    decision_digest="d" * 64,
    content_digest="c" * 64,
)
EMPTY = replace(
    CARD,
    ranking=(),
    margins=(),
    gem_probability=None,
    gem_unknown_because="no downloads are known",
    regret_bound=None,
    verification=None,
    cost=Cost(0, 0, None, 25_500, 51, None, "assumed"),
    failed=(),
    num_ungraded=0,
    engine={},
    ended="interrupted",
)
NEVER_ASKED = replace(
    CARD,
    ranking=(replace(WINNER, accuracy=None, interval=(0.0, 1.0), num_asked=0, downloads=None, num_parameters=None),),
    margins=(Margin("most_downloaded", "org/base", None, (-1.0, 1.0), 0),),
)
CHOSEN = replace(
    CARD,
    queries="chosen",
    history_tensors=("others.zarr",),
    history=("e" * 64,),
    prior="downloads",
    gem_probability=None,
    gem_unknown_because="the policy chose the queries",
)
HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "](javascript:alert(1))",
    "[a](javascript:alert(1))",
    "![a](https://evil.example/p.png)",
    "<https://evil.example>",
    "a | b | c",
    "two\nlines\n\n# and a heading\n- an item",
    "`code` and ```fence```",
    "**bold** _under_ ~~gone~~ $x$",
    "https://evil.example www.evil.example",
    "\\](javascript:alert(1)) \\| \\`",
    "{{ 7 * 7 }} {% raw %}",
    "&lt;script&gt; &#60;",
    "a\u2028b\x00c\u202ed\x1b[31m",
    "    indented",
    "1. one",
    "---",
]
CARDS = {"whole": CARD, "empty": EMPTY, "never asked": NEVER_ASKED, "chosen": CHOSEN}
TAGS = (
    *("html", "head", "meta", "title", "link", "style", "body", "header", "main", "section", "p", "time", "h1", "h2"),
    *("a", "div", "strong", "span", "br", "svg", "rect", "dl", "dt", "dd", "table", "caption", "thead", "tbody", "tr"),
    *("td", "th", "small", "b", "details", "summary", "pre", "code"),
)
VOID = {"meta", "link", "br", "rect"}


class Page(HTMLParser):
    """A strict reader: every tag is known, closed in order and without handlers; keeps texts, links and attributes."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.links, self.texts, self.ids, self.inside = [], [], [], [], [], {}
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        assert tag in TAGS
        assert not [name for name, _ in attrs if name.startswith("on") or name in ("src", "action", "srcset")]
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names))
        values = dict(attrs)
        self.tags.append((tag, values))
        if tag == "a":
            self.links.append(values["href"])
        if "id" in values:
            self.ids.append(values["id"])
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        assert tag in VOID
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)
        if self.open:
            self.inside[self.open[-1]] = self.inside.get(self.open[-1], "") + data

    @property
    def text(self):
        return re.sub(r"\s+", " ", "".join(self.texts))


def hostile_card(text):
    model = replace(WINNER, model=text, license=text, parent=text, base=text, revision=text)
    return replace(
        CARD,
        source=text,
        policy=text,
        sampling=text,
        history_tensors=(text,),
        history=(text,),
        prior=text,
        version=text,
        created=text,
        ranking=(model, replace(model, accuracy=None)),
        margins=(Margin("base", text, 0.1, (0.0, 0.2), 3), Margin("most_downloaded", text, None, (-1.0, 1.0), 0)),
        gem_probability=None,
        gem_unknown_because=text,
        verification=replace(CARD.verification, model=text),
        failed=(Failed(text, text, text),),
        engine={text: text, "nested": {text: [text]}},
        command=text,
        decision_digest=text,
        content_digest=text,
    )


def markdown_tokens(text):
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
    return [inner for token in tokens for inner in (token, *(token.children or ()))]


def kinds(tokens):
    return [token.type for token in tokens if token.type not in ("text", "text_special", "inline", "softbreak")]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_text_stays_text_on_the_page(text):
    page = Page(to_html(hostile_card(text)))
    assert page.links == []
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in Page(to_html(hostile_card("plain"))).tags]
    assert page.inside["code"] == text


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_text_stays_text_in_markdown(text):
    """The structure, token by token, is that of a harmless text, and so nothing of it became mark-up."""
    plain, hostile = (
        markdown_tokens(to_markdown(hostile_card("plain"))),
        markdown_tokens(to_markdown(hostile_card(text))),
    )
    assert kinds(hostile) == kinds(plain)
    assert not {"link_open", "image", "html_inline", "html_block", "code_inline"} & set(kinds(hostile))


@pytest.mark.parametrize("text", [text for text in HOSTILE if one_line(text) == text])
def test_markdown_shows_a_text_as_it_is(text):
    inline = MarkdownIt("commonmark").enable("strikethrough").parseInline(f"x{markdown_text(text)}")[0]
    assert "".join(child.content for child in inline.children) == f"x{text}"


@pytest.mark.parametrize("text", [text for text in HOSTILE if one_line(text) == text])
def test_a_cell_of_a_markdown_table_holds_the_whole_text(text):
    table = f"| a | b |\n|:--|:--|\n| {markdown_text(text)} | last |\n"
    cells = [token for token in MarkdownIt("commonmark").enable("table").parse(table) if token.type == "inline"][2:]
    shown = ["".join(child.content for child in cell.children) for cell in cells]
    assert shown == [text, "last"]


def test_no_angle_bracket_is_left_to_a_renderer_that_is_laxer_than_the_specification():
    assert not set("<>") & set(markdown_text("<script>alert(1)</script>"))


def test_bare_addresses_in_markdown_are_no_links_where_the_renderer_makes_links_of_them():
    escaped = markdown_text("see https://evil.example or WWW.evil.example")
    assert "://" not in escaped
    assert "www." not in escaped.lower()


def test_what_cannot_be_seen_is_shown_as_such():
    assert one_line("a\u202eb\x00c\td\r\n e\ud800") == "a\ufffdb\ufffdc d e\ufffd"
    assert "a\ufffdb" in to_html(hostile_card("a\u202eb"))
    assert "a\ufffdb" in to_markdown(hostile_card("a\u202eb"))


@pytest.mark.parametrize("name", ["```", "two  blanks", "````\n# a heading\n```\n", "<b>"])
def test_a_command_is_shown_to_the_letter_and_stays_in_its_block(name):
    card = replace(CARD, command=f"gembench search --models '{name}'")
    fences = [token for token in markdown_tokens(to_markdown(card)) if token.type == "fence"]
    assert [fence.content for fence in fences] == [f"{card.command}\n"]
    assert Page(to_html(card)).inside["code"] == card.command


def test_a_command_with_bytes_that_are_no_text_can_be_written():
    card = replace(CARD, command="gembench search --models caf\udce9")
    assert "caf?" in to_html(card).encode().decode()
    assert "caf?" in to_markdown(card).encode().decode()
    assert json.loads(to_json(card))["command"] == card.command


@pytest.mark.parametrize("name", CARDS)
def test_the_page_is_well_formed_and_asks_nothing_of_any_server(name):
    html = to_html(CARDS[name])
    page = Page(html)
    assert html.startswith("<!doctype html>")
    assert dict(page.tags)["html"]["lang"] == "en"
    assert page.inside["title"].startswith("Gem card: ")
    assert len(page.ids) == len(set(page.ids))
    labelled = [values["aria-labelledby"] for _, values in page.tags if "aria-labelledby" in values]
    assert set(labelled) <= set(page.ids)
    assert all(values.get("scope") in ("row", "col") for tag, values in page.tags if tag == "th")
    assert [values["href"] for tag, values in page.tags if tag == "link"] == ["data:,"]
    assert not re.search(r"url\(|@import|<script", html)
    assert "None" not in page.text.replace("None of", "")


@pytest.mark.parametrize("name", CARDS)
def test_the_markdown_has_whole_tables_and_no_raw_html(name):
    tokens = markdown_tokens(to_markdown(CARDS[name]))
    assert not {"html_inline", "html_block"} & set(kinds(tokens))
    assert "|" not in "".join(token.content for token in tokens if token.type == "text")
    assert "None" not in to_markdown(CARDS[name]).replace("None of", "")
    assert "Undefined" not in to_markdown(CARDS[name])


@pytest.mark.parametrize("render", [to_html, to_markdown])
def test_the_card_says_what_was_found_how_sure_it_is_and_what_it_cost(render):
    text = Page(render(CARD)).text if render is to_html else render(CARD).replace("\\", "")
    for words in (
        "ann/math@1f2e first of 51 models on reasoning: it answered 64.2% of 120 queries right",
        "Over all 500 queries its accuracy is 61.0% to 68.3%, with 95% confidence",
        "No model that could be asked is better by more than 2.1 points, with 95% confidence.",
        "for all models at once, and at whatever moment the search stopped",
        "+5.3 points",
        "against org/base: −1.1 to +9.6 points, counted on the 72 queries that both answered",
        "83%",
        "not among the top 1% by downloads, is among the top 1% by accuracy",
        "Confirmed: on 200 queries that the search had not asked, the winner alone was right on 31 and org/base alone "
        "on 12. The difference is +9.5 points (+3.1 to +15.8 points); p = 0.0027",
        "510 instead of 25,500, 3 h 12 min instead of 1 d 3 h",
        "50× less",  # 25,500 / 510
        "1.9× more",  # 98 loads beside 51
        "8.5× less",  # 98,300 s / 11,520 s
        "The search carried out its whole plan, with 510 of 510 pulls.",
        "1 answer could not be graded, and counts neither as right nor as wrong.",
        "1 model could not be measured",
        "log in first",
        "412,035",
        "3.09B",
        "gembench search --tree org/base --seed 3",
        "d" * 64,
        "c" * 64,
        "3, run 7",
        '{"temperature": 0.0}',
        "mit",
    ):
        assert words in text


@pytest.mark.parametrize("render", [to_html, to_markdown])
def test_of_chosen_queries_the_card_says_what_is_possible_and_states_no_confidence(render):
    text = Page(render(CHOSEN)).text if render is to_html else render(CHOSEN).replace("\\", "")
    for words in (
        "it answered 64.2% of 120 queries right, which the policy chose. Over all 500 queries its accuracy can be "
        "61.0% to 68.3%, by the answers that were not given.",
        "No model that could be asked can be better by more than 2.1 points, whatever the answers not given.",
        "The policy chose the queries, and they are no random sample",
        "against org/base: +5.3 points, counted on the 72 queries that both answered; −1.1 to +9.6 points are possible "
        "over all queries.",
        "The queries of the comparison with org/base were drawn at random of those that neither had answered, and its "
        "interval holds for all of these, with 95% confidence.",
        "others.zarr",
        "e" * 64,
        "downloads",
    ):
        assert words in text
    assert text.count("95%") == 2, "that of the verification, and the setting"
    assert "ossible range" in text
    assert "whatever moment" not in text
    certain = render(replace(CHOSEN, regret_bound=0.0, verification=None))
    assert "No model that could be asked is more accurate: that is certain." in certain
    assert "drawn at random" not in certain


@pytest.mark.parametrize(
    ("ended", "words", "is_warned"),
    [
        ("plan", "carried out its whole plan", False),
        ("stop_within", "stopped early, after 510 of 510 pulls: the best model was known to the margin", False),
        ("budget", "budget was spent before the policy was done", True),
        ("seconds", "its time was spent", True),
        ("interrupted", "was interrupted, after 510 of 510 pulls", True),
    ],
)
def test_the_card_says_how_the_search_ended(ended, words, is_warned):
    card = replace(CARD, ended=ended)
    page = Page(to_html(card))
    assert words in page.text
    assert words in to_markdown(card)
    assert (("p", {"class": "partial"}) in page.tags) == is_warned
    assert ("Ended before its plan" in to_markdown(card)) == is_warned


def test_without_ranking_margins_verification_and_downloads_the_card_says_what_is_not_known():
    for text in (Page(to_html(EMPTY)).text, to_markdown(EMPTY)):
        for words in (
            "None of 51 models could be ranked",
            "No margin: the base is not known",
            "unknown",
            "no downloads are known",
            "How much more accurate another model may be is not known",
        ):
            assert words in text
        assert "could not be measured" not in text
        assert "Confirmed" not in text


def test_a_winner_that_answered_nothing_has_no_accuracy():
    for text in (Page(to_html(NEVER_ASKED)).text, to_markdown(NEVER_ASKED)):
        assert "though it has answered nothing yet" in text
        assert "−100.0 to +100.0 points, for the two have no query in common" in text


def test_a_bound_of_zero_says_that_no_model_is_better():
    assert "No model that could be asked is more accurate, with 95%" in to_markdown(replace(CARD, regret_bound=0.0))


def test_a_verdict_that_is_not_confirmed_says_so():
    card = replace(CARD, verification=replace(CARD.verification, confirmed=False))
    assert "Not confirmed: on 200" in to_markdown(card)


def test_only_what_has_the_form_of_a_hub_id_is_a_link():
    page = Page(to_html(CARD))
    assert page.links == [f"https://huggingface.co/{name}" for name in ("ann/math", "ann/math", "org/base", "bad/one")]
    linked = [token.attrs["href"] for token in markdown_tokens(to_markdown(CARD)) if token.type == "link_open"]
    assert linked == page.links


@pytest.mark.parametrize(
    ("model", "url"),
    [
        ("org/name", "https://huggingface.co/org/name"),
        ("Org-1/na.me_2@refs/pr/3", "https://huggingface.co/Org-1/na.me_2"),
        ("name", None),
        ("a/b/c", None),
        ("../name", None),
        ("./models/name", None),
        ("/models/name", None),
        ("org/..", None),
        ("org/a..b", None),
        ("org/a--b", None),
        ("org/name@né", None),
        ("org/na me", None),
        ("org/name@", None),
        ("org/name\n", None),
        ("javascript:alert(1)/x", None),
        ("org/näme", None),
        ("", None),
    ],
)
def test_the_page_of_a_model(model, url):
    assert hub_url(model) == url


def test_the_bars_lie_where_the_numbers_are():
    """The ranking's axis runs from 50% to 70%: the ends 50% and 68.34% of the two intervals, to the next 5%."""
    rects = [values for tag, values in Page(to_html(CARD)).tags if tag == "rect"]
    of_winner, in_ranking, of_base = rects[0:3], rects[3:6], rects[6:9]
    assert (of_winner[1]["x"], of_winner[1]["width"], of_winner[2]["x"]) == ("61.00%", "7.34%", "64.17%")
    assert (in_ranking[1]["x"], in_ranking[1]["width"], in_ranking[2]["x"]) == ("55.00%", "36.70%", "70.83%")
    assert (of_base[1]["x"], of_base[1]["width"], of_base[2]["x"]) == ("0.00%", "80.00%", "40.00%")


def test_the_json_holds_every_field():
    card = replace(CARD, engine=MappingProxyType(dict(CARD.engine)))
    plain = json.loads(to_json(card))
    assert plain == json.loads(json.dumps(asdict(CARD)))
    again = GemCard(
        **{
            **plain,
            "ranking": tuple(CardModel(**{**row, "interval": tuple(row["interval"])}) for row in plain["ranking"]),
            "margins": tuple(Margin(**{**row, "interval": tuple(row["interval"])}) for row in plain["margins"]),
            "verification": Verification(
                **{**plain["verification"], "interval": tuple(plain["verification"]["interval"])}
            ),
            "cost": Cost(**plain["cost"]),
            "failed": tuple(Failed(**row) for row in plain["failed"]),
            "history_tensors": tuple(plain["history_tensors"]),
            "history": tuple(plain["history"]),
        }
    )
    assert again == CARD


def test_a_number_that_is_not_finite_is_no_json():
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_json(replace(CARD, regret_bound=float("inf")))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_has_the_contrast_that_wcag_asks_of_small_text(scheme):
    """4.5 to 1 by WCAG 2.1, 1.4.3, on each ground that the text lies on."""
    blocks = re.findall(r":root \{(.*?)\}", to_html(CARD), re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#\w{6})", blocks[("light", "dark").index(scheme)]))

    def luminance(colour):
        shares = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    def contrast(first, second):
        low, high = sorted([luminance(colours[first]), luminance(colours[second])])
        return (high + 0.05) / (low + 0.05)

    pairs = [(text, ground) for text in ("text", "quiet", "gem") for ground in ("page", "panel")]
    assert min(contrast(*pair) for pair in [*pairs, ("warn", "warn-soft")]) >= 4.5


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "–"),
        (0.0, "0.0 s"),
        (0.01, "under 0.1 s"),
        (4.24, "4.2 s"),
        (9.97, "10 s"),
        (59.6, "1 min"),
        (725, "12 min 5 s"),
        (3599.7, "1 h"),
        (11_520, "3 h 12 min"),
        (86_400, "1 d"),
        (90_061, "1 d 1 h"),
        (31_536_000, "365 d"),
    ],
)
def test_seconds_are_told_in_their_two_largest_units(seconds, words):
    assert duration(seconds) == words


def test_differences_carry_their_sign_and_zero_has_none():
    assert [points(value) for value in (0.032, -0.01, 0.0004, -0.0004)] == [
        "+3.2 points",
        "−1.0 points",
        "0.0 points",
        "0.0 points",
    ]


def test_chances_are_never_told_more_certain_than_draws_can_be():
    told = [chance(value) for value in (0.0, 0.004, 0.01, 0.834, 0.99, 0.996, 1.0)]
    assert told == ["under 0.1%", "under 1%", "1%", "83%", "99%", "over 99%", "over 99.9%"]


def test_costs_are_compared_in_words():
    pairs = [(510, 25_500), (51, 50), (98, 51), (1, 12_345.6), (0, 10), (None, 10), (10, None)]
    assert [times(*pair) for pair in pairs] == ["50× less", "the same", "1.9× more", "12,346× less", "–", "–", "–"]


def test_small_p_values_are_bounded():
    assert [p_value(value) for value in (1.0, 0.0314, 0.0001, 3e-9)] == [
        "p = 1",
        "p = 0.031",
        "p = 0.0001",
        "p < 0.0001",
    ]


def test_parameters_are_told_in_thousands_millions_and_billions():
    told = [parameters(number) for number in (999, 1000, 134_515_008, 999_900_000, 7_615_616_512, 1_200_000_000_000)]
    assert told == ["999", "1K", "135M", "1B", "7.62B", "1.2T"]


def test_things_are_counted_in_the_singular_and_the_plural():
    told = [counted(1, "query"), counted(1200, "query"), counted(0, "model")]
    assert told == ["1 query", "1,200 queries", "0 models"]
