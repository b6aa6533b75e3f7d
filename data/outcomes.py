"""What became of a cell: the enumeration that the tensor's `outcome` holds."""

from enum import IntEnum
from typing import Any


class Outcome(IntEnum):
    """Why a cell is as it is. Only an answered cell is right or wrong: a failure is never a wrong answer."""

    NOT_ASKED = 0
    ANSWERED = 1
    TRUNCATED = 2
    UNGRADED = 3
    FAILED = 4


def outcome_attributes() -> dict[str, Any]:
    """The attributes that name the values, as the CF conventions write flags (CF 1.11, section 3.5)."""
    return {
        "flag_values": [int(outcome) for outcome in Outcome],
        "flag_meanings": " ".join(outcome.name.lower() for outcome in Outcome),
    }
