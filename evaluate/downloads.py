"""Models that arrive while those before them are in use."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from queue import SimpleQueue

from gembench.evaluate.download_cache import DownloadCache, Fetched
from gembench.evaluate.preflight import Preflight


def fetch_ahead(
    preflights: Sequence[Preflight], *, cache_folder: Path, disk_bytes: int, ahead: int = 1
) -> Iterator[Fetched]:
    """Yield every model in order, downloading those to come in the background while the last ones are in use.

    Each is to be released when it has been used, from any thread: the next waits where the disk has no room beside it.

    Args:
        preflights: the models. Those that cannot run come out as their failure.
        cache_folder: for what is downloaded and nothing else.
        disk_bytes: the most that downloaded models may take at once, those in use among them.
        ahead: how many models are brought here before they are asked for.
    """
    cache = DownloadCache(cache_folder, disk_bytes)
    to_download = [one for one in preflights if one.can_run and one.download_bytes]
    if to_download:
        cache.remove_leftovers(to_download[: ahead + 1])
    slots = threading.Semaphore(ahead)
    arrived: SimpleQueue[Fetched | BaseException] = SimpleQueue()

    def work() -> None:
        try:
            for one in preflights:
                slots.acquire()
                arrived.put(cache.fetch(one))
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
            cache.stop()
            slots.release()
            while not arrived.empty():
                late = arrived.get()
                if isinstance(late, Fetched):
                    late.release()
