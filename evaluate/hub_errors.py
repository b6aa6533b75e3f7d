"""What the errors of `huggingface_hub` mean for a model: its status, and a sentence that a person can act on."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gembench.data.status import ModelStatus
from gembench.errors import GembenchError
from gembench.evaluate.evaluator import EvaluatorFailure

DISK_FULL = errno.ENOSPC
_REASONS = {DISK_FULL: "the disk is full", errno.EDQUOT: "the disk quota is used up"}


class DownloadStoppedError(GembenchError):
    """A download was given up because the recording ends."""


def hub_endpoint() -> str | None:
    """What `HF_ENDPOINT` names now; None for the Hub itself."""
    return os.environ.get("HF_ENDPOINT") or None


def is_transient(failure: EvaluatorFailure) -> bool:
    """Whether a failed download may succeed when tried again."""
    cause = failure.__cause__
    return failure.status is ModelStatus.DOWNLOAD_FAILED and getattr(cause, "errno", None) not in _REASONS


@contextmanager
def hub_failures(repo_id: str, revision: str | None) -> Iterator[None]:
    """Turn what the library raises into a model's status and a sentence."""
    from huggingface_hub import errors

    url = f"{hub_endpoint() or 'https://huggingface.co'}/{repo_id}"
    try:
        yield
    except errors.GatedRepoError as error:
        raise EvaluatorFailure(
            ModelStatus.GATED,
            f"{repo_id} is gated: ask for access at {url}, and set HF_TOKEN to a token of that account.",
        ) from error
    except errors.RevisionNotFoundError as error:
        raise EvaluatorFailure(
            ModelStatus.NOT_FOUND, f"{repo_id} has no revision {revision!r}; see its branches and tags at {url}."
        ) from error
    except errors.DisabledRepoError as error:
        raise EvaluatorFailure(ModelStatus.NOT_FOUND, f"{repo_id} was disabled by the Hub; leave it out.") from error
    except errors.EntryNotFoundError as error:
        # The library says so too where it could not ask for the file.
        raise _download_failed(repo_id, error) from error
    except errors.RepositoryNotFoundError as error:
        raise EvaluatorFailure(
            ModelStatus.NOT_FOUND,
            f"{repo_id} is not on the Hub, or private: correct the id, or set HF_TOKEN to a token that may read it.",
        ) from error
    except errors.HFValidationError as error:
        raise EvaluatorFailure(ModelStatus.NOT_FOUND, f"{repo_id!r} is no id of the Hub: {error}.") from error
    except errors.HfHubHTTPError as error:
        if error.response.status_code in (401, 403):
            raise EvaluatorFailure(
                ModelStatus.GATED, f"{repo_id}: the Hub refuses it to you; set HF_TOKEN to a token that may read it."
            ) from error
        raise _download_failed(repo_id, error) from error
    except (_network_error(), OSError, ValueError, RuntimeError) as error:
        # RuntimeError: what the Xet client raises.
        raise _download_failed(repo_id, error) from error


def _network_error() -> type[Exception]:
    """The root of the HTTP client's errors; which client that is depends on the library's version."""
    from huggingface_hub import errors

    root: Any = vars(errors)["HTTPError"]
    return root if issubclass(root, Exception) else OSError


def _download_failed(repo_id: str, error: Exception) -> EvaluatorFailure:
    reason = _REASONS.get(getattr(error, "errno", None) or 0)
    if reason:
        return EvaluatorFailure(ModelStatus.DOWNLOAD_FAILED, f"{repo_id}: {reason}; free some space, and try again.")
    origin: BaseException = error.__cause__ or error
    said = " ".join(str(origin).split())[:200]
    return EvaluatorFailure(
        ModelStatus.DOWNLOAD_FAILED,
        f"{repo_id}: the Hub cannot be reached or breaks off ({said or type(origin).__name__}); try again later with "
        f"--retry-failed.",
    )
