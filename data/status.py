"""What became of a model in a recording: the words that the tensor's `model_status` holds."""

from enum import StrEnum


class ModelStatus(StrEnum):
    """Why a model's row is as it is. All but `PENDING` and `OK` say why it could not be measured."""

    PENDING = "pending"
    OK = "ok"
    GATED = "gated"
    NOT_FOUND = "not_found"
    NO_TOKENIZER = "no_tokenizer"
    UNSAFE_FORMAT = "unsafe_format"
    REMOTE_CODE = "remote_code"
    UNSUPPORTED = "unsupported"
    WEIGHT_MISMATCH = "weight_mismatch"
    OUT_OF_MEMORY = "out_of_memory"
    NAN_LOGITS = "nan_logits"
    TIMEOUT = "timeout"
    DOWNLOAD_FAILED = "download_failed"
    ENGINE_CRASHED = "engine_crashed"
    UNGRADED = "ungraded"

    @property
    def is_failure(self) -> bool:
        """Whether the model could not be measured."""
        return self not in (ModelStatus.PENDING, ModelStatus.OK)
