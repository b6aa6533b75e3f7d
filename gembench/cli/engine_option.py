"""`--engine NAME[:KEY=VALUE,…]`: which engine answers, and with which of its own options."""

import json
import re
from typing import Any, NamedTuple

import click

_SETTING = re.compile(r"\s*([A-Za-z_]\w*)\s*=")


class EngineChoice(NamedTuple):
    """An engine's name, and the options that it is made with."""

    name: str
    options: dict[str, Any]


class EngineSpec(click.ParamType[EngineChoice]):
    """`vllm:dtype=float32,max_model_len=2048`. Values are read as JSON, and as plain text if they are none.

    A comma starts a new setting only where a key follows, so that a value may hold commas.
    """

    name = "ENGINE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> EngineChoice:
        """Read the name and the settings, or fail with one line."""
        if isinstance(value, EngineChoice):
            return value
        # `module:Class` names an engine of the user's own, so that settings start at the first `:key=`.
        match = re.search(r":(?=[A-Za-z_]\w*\s*=)", value)
        name, settings = (value[: match.start()], value[match.end() :]) if match else (value, "")
        options: dict[str, Any] = {}
        for setting in filter(None, re.split(r",(?=\s*[A-Za-z_]\w*\s*=)", settings)):
            found = _SETTING.match(setting)
            if found is None:
                self.fail(f"{setting!r} is no KEY=VALUE.", param, ctx)
            if found[1] in options:
                self.fail(f"{found[1]} is given twice.", param, ctx)
            options[found[1]] = _value(setting[found.end() :].strip())
        return EngineChoice(name.strip(), options)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
