"""What the workers' events come to as lines for a person."""

from gembench.data.status import ModelStatus
from gembench.live.events import CanaryAsked, Event, ModelEnded, WorkerLost


def line_of(event: Event) -> str | None:
    """The line of an event; None if it is not worth one."""
    match event:
        case ModelEnded() if event.status.is_failure:
            return f"{event.model}: {event.status}: {event.message}"
        case ModelEnded() if event.status != ModelStatus.PENDING:
            load = f", loaded in {event.load_seconds:.1f} s" if event.load_seconds is not None else ""
            return f"{event.model}: {event.num_cells:,} cells in {event.seconds:.1f} s{load}"
        case CanaryAsked() if not event.agrees:
            return (
                f"{event.model}: a fresh engine answers otherwise than the one its weights were swapped into; "
                f"{len(event.again)} models are asked again without swapping."
            )
        case WorkerLost():
            return f"{event.model}: its worker was lost ({event.message}); another takes it up."
    return None
