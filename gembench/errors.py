"""What can go wrong, one class a cause. The message says what, where, and what to do; `exit_code` is the command's."""


class GembenchError(Exception):
    """Any failure that gembench explains to a person. Exit code 1: the request was sound, the work failed."""

    exit_code = 1


class UsageError(GembenchError):
    """The request itself cannot be met as it stands. Exit code 2."""

    exit_code = 2


class UnknownPolicyError(UsageError):
    """No policy of that name is in the catalog."""


class PolicySettingError(UsageError):
    """A policy has no such hyper-parameter, or refuses the value."""


class BudgetError(UsageError):
    """The budget cannot be spent on this problem."""


class ContractError(GembenchError):
    """A policy broke the contract: it asked beyond the budget, or named one model twice in an ask."""


class TensorError(GembenchError):
    """A tensor cannot be used."""


class TensorNotFoundError(TensorError, UsageError):
    """Nothing lies at that path or URL, and no embedded tensor has that name."""

    exit_code = 2


class SchemaError(TensorError):
    """A variable, coordinate or attribute is not what the schema says."""


class NewerSchemaError(SchemaError):
    """The tensor was written by a newer gembench."""


class CorruptTensorError(TensorError):
    """Stored bytes cannot be read back."""


class TensorExistsError(TensorError):
    """A writer met a tensor that it was not told to overwrite."""


class NothingLeftError(TensorError):
    """After models and queries with missing cells were left out, no race is left to run."""


class BenchmarkError(GembenchError):
    """A benchmark, or a result on one, is not what it should be."""


class SourceError(GembenchError):
    """What another tool wrote cannot be imported."""
