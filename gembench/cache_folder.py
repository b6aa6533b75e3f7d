"""Where gembench may keep what it can make again."""

import os
from pathlib import Path

CACHE_VARIABLE = "GEMBENCH_CACHE_DIR"


def cache_folder() -> Path:
    """`GEMBENCH_CACHE_DIR`, else the user's cache folder."""
    import platformdirs

    return Path(os.environ.get(CACHE_VARIABLE) or platformdirs.user_cache_path("gembench"))
