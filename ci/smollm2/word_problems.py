"""Generated word problems with worked solutions, their last line the answer after `####`, as in GSM8K."""

import random
from collections.abc import Callable

_NAMES = "Ada Bruno Chidi Dana Elif Farid Greta Hugo Ines Jonas Kira Luis Mina Noor Otto Petra Quinn Rosa"
_ITEMS = "apples marbles stickers pencils cookies shells coins books buttons cards stamps ribbons"


def word_problem(rng: random.Random) -> tuple[str, str]:
    """A question, and the solution a sentence a line."""
    question, steps, answer = rng.choice(_KINDS)(rng)
    return question, "\n".join((*steps, f"#### {answer}"))


def _bought_and_eaten(rng: random.Random) -> tuple[str, list[str], int]:
    name, item = rng.choice(_NAMES.split()), rng.choice(_ITEMS.split())
    have, boxes, each = rng.randint(3, 40), rng.randint(2, 9), rng.randint(2, 12)
    new, total = boxes * each, have + boxes * each
    given = rng.randint(1, total - 1)
    return (
        f"{name} has {have} {item} and gets {boxes} boxes with {each} {item} in each. Then {name} gives {given} "
        f"{item} to a friend. How many {item} does {name} have left?",
        [
            f"The boxes hold {boxes} * {each} = {new} {item}.",
            f"Together that is {have} + {new} = {total} {item}.",
            f"After the gift {name} has {total} - {given} = {total - given} {item}.",
        ],
        total - given,
    )


def _shopping(rng: random.Random) -> tuple[str, list[str], int]:
    name, (first, second) = rng.choice(_NAMES.split()), rng.sample(_ITEMS.split(), 2)
    m, n, p, q = rng.randint(2, 9), rng.randint(2, 9), rng.randint(2, 9), rng.randint(2, 9)
    return (
        f"{name} buys {m} {first} for ${p} each and {n} {second} for ${q} each. How much does {name} pay in total?",
        [
            f"The {first} cost {m} * {p} = ${m * p}.",
            f"The {second} cost {n} * {q} = ${n * q}.",
            f"In total {name} pays {m * p} + {n * q} = ${m * p + n * q}.",
        ],
        m * p + n * q,
    )


def _wages(rng: random.Random) -> tuple[str, list[str], int]:
    name = rng.choice(_NAMES.split())
    rate, hours, days, spent = rng.randint(8, 25), rng.randint(2, 9), rng.randint(2, 6), rng.randint(5, 30)
    a_day, earned = rate * hours, rate * hours * days
    return (
        f"{name} earns ${rate} an hour and works {hours} hours a day for {days} days, then spends ${spent} on lunch. "
        "How many dollars are left?",
        [
            f"In a day {name} earns {rate} * {hours} = ${a_day}.",
            f"In {days} days that is {a_day} * {days} = ${earned}.",
            f"After lunch {earned} - {spent} = ${earned - spent} are left.",
        ],
        earned - spent,
    )


def _twice_as_many(rng: random.Random) -> tuple[str, list[str], int]:
    (first, second, third), item = rng.sample(_NAMES.split(), 3), rng.choice(_ITEMS.split())
    own, times, fewer = rng.randint(4, 30), rng.randint(2, 4), rng.randint(1, 4)
    more = own * times
    return (
        f"{first} has {own} {item}. {second} has {times} times as many as {first}, and {third} has {fewer} fewer than "
        f"{second}. How many {item} do the three have together?",
        [
            f"{second} has {own} * {times} = {more} {item}.",
            f"{third} has {more} - {fewer} = {more - fewer} {item}.",
            f"Together they have {own} + {more} + {more - fewer} = {own + 2 * more - fewer} {item}.",
        ],
        own + 2 * more - fewer,
    )


def _sharing(rng: random.Random) -> tuple[str, list[str], int]:
    name, item = rng.choice(_NAMES.split()), rng.choice(_ITEMS.split())
    friends, share, broken = rng.randint(2, 9), rng.randint(2, 12), rng.randint(1, 9)
    whole = friends * share
    return (
        f"{name} finds {whole + broken} {item}, but {broken} of them are broken. The others are shared equally among "
        f"{friends} friends. How many {item} does each friend get?",
        [
            f"There are {whole + broken} - {broken} = {whole} {item} that are not broken.",
            f"Each friend gets {whole} / {friends} = {share} {item}.",
        ],
        share,
    )


def _journey(rng: random.Random) -> tuple[str, list[str], int]:
    name = rng.choice(_NAMES.split())
    fast, slow, m, n = rng.randint(30, 70), rng.randint(5, 25), rng.randint(2, 5), rng.randint(2, 5)
    return (
        f"{name} drives for {m} hours at {fast} miles per hour and cycles for {n} hours at {slow} miles per hour. How "
        f"many miles does {name} travel?",
        [
            f"By car it is {m} * {fast} = {m * fast} miles.",
            f"By bicycle it is {n} * {slow} = {n * slow} miles.",
            f"Together that is {m * fast} + {n * slow} = {m * fast + n * slow} miles.",
        ],
        m * fast + n * slow,
    )


def _half_sold(rng: random.Random) -> tuple[str, list[str], int]:
    item, price, sold = rng.choice(_ITEMS.split()), rng.randint(2, 9), rng.randint(5, 40)
    return (
        f"A shop has {2 * sold} {item} and sells half of them in the morning for ${price} each. In the afternoon it "
        f"sells the rest for ${price - 1} each. How many dollars does it take?",
        [
            f"In the morning it sells {2 * sold} / 2 = {sold} {item} for {sold} * {price} = ${sold * price}.",
            f"In the afternoon the rest brings {sold} * {price - 1} = ${sold * (price - 1)}.",
            f"Together that is {sold * price} + {sold * (price - 1)} = ${sold * (2 * price - 1)}.",
        ],
        sold * (2 * price - 1),
    )


def _percent(rng: random.Random) -> tuple[str, list[str], int]:
    name = rng.choice(_NAMES.split())
    percent, hundreds = rng.choice((10, 20, 25, 30, 40, 50, 75)), rng.randint(1, 9)
    price, off = 100 * hundreds, percent * hundreds
    return (
        f"A bicycle costs ${price}. It is on sale for {percent}% off. How much does {name} pay for it?",
        [f"The discount is {price} * {percent} / 100 = ${off}.", f"{name} pays {price} - {off} = ${price - off}."],
        price - off,
    )


_KINDS: tuple[Callable[[random.Random], tuple[str, list[str], int]], ...] = (
    _bought_and_eaten,
    _shopping,
    _wages,
    _twice_as_many,
    _sharing,
    _journey,
    _half_sold,
    _percent,
)
