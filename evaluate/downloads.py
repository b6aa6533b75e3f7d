"""Models that arrive while those before them are in use."""

import contextlib
import threading
from collections.abc import Generator, Sequence
from queue import Empty, SimpleQueue

from gembench.evaluate.download_cache import DownloadCache, Fetched
from gembench.evaluate.preflight import Preflight


def fetch_ahead(
    preflights: Sequence[Preflight], *, cache: DownloadCache, ahead: int = 1
) -> Generator[Fetched, None, None]:
    """Yield every model in order, downloading those to come in the background while the last ones are in use.

    Each is to be released when it has been used, from any thread: the next waits where the disk has no room beside it.
    One pass over models may follow another with the same cache, once the one before is at its end or closed.

    Args:
        preflights: the models. Those that cannot run come out as their failure.
        cache: holds what is downloaded.
        ahead: how many models are brought here before they are asked for.
    """
    to_download = [one for one in preflights if one.can_run and one.download_bytes]
    if to_download:
        cache.remove_leftovers(to_download)
    slots = threading.Semaphore(ahead)
    arrived: SimpleQueue[Fetched | BaseException] = SimpleQueue()
    stopping = threading.Event()

    def work() -> None:
        try:
            for one in preflights:
                slots.acquire()
                arrived.put(cache.fetch(one, stopping))
                if stopping.is_set():  # Perhaps nobody looks any more.
                    _release_all(arrived)
                    return
        except BaseException as error:  # Raised again where the models are taken from.
            arrived.put(error)

    # A daemon, so that a connection that hangs does not keep the process from ending.
    thread = threading.Thread(target=work, name="gembench-downloads", daemon=True)
    thread.start()
    num_yielded = 0
    try:
        for _ in preflights:
            fetched = arrived.get()
            if isinstance(fetched, BaseException):
                raise fetched
            num_yielded += 1
            slots.release()
            yield fetched
    finally:
        if num_yielded < len(preflights):
            cache.stop(stopping)
            slots.release()
            _release_all(arrived)


def _release_all(arrived: SimpleQueue[Fetched | BaseException]) -> None:
    with contextlib.suppress(Empty):
        while True:
            late = arrived.get_nowait()
            if isinstance(late, Fetched):
                late.release()
