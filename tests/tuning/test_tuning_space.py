import pytest

from gembench.errors import PolicySettingError, UsageError
from gembench.tuning.space import Choices, NumberRange, Space, read_space


def test_ranges_have_the_type_of_the_hyper_parameter():
    space = read_space("doubly_robust", ["exploration=1:4:log", "num_factors=8:32"], [])
    assert space.dimensions == (
        NumberRange("exploration", 1.0, 4.0, is_log=True),
        NumberRange("num_factors", 8, 32, is_log=False),
    )
    assert [type(each.low) for each in space.dimensions] == [float, int]


def test_choices_have_the_type_of_the_hyper_parameter():
    assert read_space("gem", [], ["keep=0.5,0.75"]).dimensions == (Choices("keep", (0.5, 0.75)),)


def test_a_setting_is_named_as_it_is_pasted_and_what_is_fixed_stays():
    space = read_space("gem:tilt=0.25", ["keep=0.5:0.9"], [])
    name, policy = space.named({"keep": 0.625})
    assert name == "gem:keep=0.625,tilt=0.25"
    assert (policy.keep, policy.tilt) == (0.625, 0.25)


@pytest.mark.parametrize(
    ("low", "high", "is_log", "value", "rounded"),
    [
        (0.0, 1.0, False, 0.123456, 0.123),
        (-0.5, 0.5, False, -0.0004, 0.0),
        (0.6, 0.9, False, 0.712345, 0.7123),  # a range of 0.3 in steps of 0.0001
        (0.12343, 0.9, False, 0.12343, 0.12343),  # never past the ends
        (0.76001, 0.76004, False, 0.760021234, 0.76002123),
        (0.001, 1000.0, True, 0.00123456, 0.001235),
        (0.001, 1000.0, True, 654.321, 654.3),
    ],
)
def test_numbers_are_rounded_to_a_thousandth_of_the_range_or_of_themselves(low, high, is_log, value, rounded):
    assert NumberRange("keep", low, high, is_log).rounded(value) == pytest.approx(rounded, rel=1e-12, abs=1e-12)


def test_every_combination_of_ends_is_a_corner():
    space = Space("gem", (NumberRange("keep", 0.5, 0.9, False), Choices("tilt", (-0.5, 0.5, 1.0))))
    assert [name for name, _ in space.corners()] == [
        f"gem:keep={keep},tilt={tilt}" for keep in (0.5, 0.9) for tilt in (-0.5, 0.5, 1.0)
    ]


@pytest.mark.parametrize(
    ("policy", "ranges", "choices", "kind", "message"),
    [
        ("gem", ["kep=0.5:0.9"], [], PolicySettingError, "no setting 'kep'; it takes: keep, tilt, warm_keep"),
        ("gem", ["keep=0.5:1.9"], [], PolicySettingError, "keep must be over 0 and under 1, got 1.9"),
        ("gem", [], ["keep=0.5,1.9"], PolicySettingError, "keep must be over 0 and under 1, got 1.9"),
        ("gem", ["keep=0.9:0.5"], [], UsageError, "the lower end comes first"),
        ("gem", ["keep=0.5:0.5"], [], UsageError, "the lower end comes first"),
        ("gem", ["keep=0.5"], [], UsageError, "'keep=0.5' is not a range"),
        ("gem", ["keep=0.5:0.9:lin"], [], UsageError, "is not a range"),
        ("gem", ["keep"], [], UsageError, "neither a range"),
        ("gem", ["keep=low:high"], [], PolicySettingError, "keep must be of type float, got 'low'"),
        ("gem", ["tilt=0:inf"], [], UsageError, "must be finite"),
        ("gem", ["tilt=nan:1"], [], UsageError, "must be finite"),
        ("gem", ["tilt=-1:1:log"], [], UsageError, "must lie above 0, got -1"),
        ("doubly_robust", ["num_factors=8:9.5"], [], PolicySettingError, "num_factors must be of type int"),
        ("gem", [], ["keep=0.5"], UsageError, "two or more different values"),
        ("gem", [], ["keep=0.5,0.5,0.6"], UsageError, "two or more different values"),
        ("gem:keep=0.7", ["keep=0.5:0.9"], [], UsageError, "keep is both fixed and to be tuned"),
        ("gem", ["keep=0.5:0.9"], ["keep=0.5,0.9"], UsageError, "keep is to be tuned twice"),
        ("gem", [], [], UsageError, "nothing to tune of gem: it takes keep=0.75, tilt=0.0, warm_keep=0.6"),
        ("uniform", [], [], UsageError, "it has no hyper-parameter"),
        ("uniform", ["keep=0:1"], [], PolicySettingError, "it takes: none"),
        ("gemm", ["keep=0.5:0.9"], [], UsageError, "did you mean gem"),
    ],
)
def test_what_cannot_be_tuned_is_refused_in_one_line(policy, ranges, choices, kind, message):
    with pytest.raises(kind, match=r"^[^\n]*$") as refused:
        read_space(policy, ranges, choices)
    assert message in str(refused.value)
