"""Where tensors lie: local folders, local `.zip` files, and whatever URL fsspec opens."""

import os
import zipfile
from pathlib import Path

import fsspec
from zarr.storage import FsspecStore, LocalStore, ZipStore

from gembench.errors import CorruptTensorError, SchemaError, TensorError, TensorNotFoundError

Store = FsspecStore | LocalStore | ZipStore
ROOT_FILE = "zarr.json"


def is_url(location: str) -> bool:
    """Whether fsspec, not the local file system, has the location: `memory://x`, `s3://b/x`, `zip::s3://b/x.zip`."""
    return "://" in location and not location.startswith("file://")


def local_path(location: str) -> Path:
    """The path that a location without a foreign protocol names."""
    return Path(location.removeprefix("file://"))


def file_system(url: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """The file system of a URL, and the path on it.

    Raises:
        TensorNotFoundError: the archive of a `zip::` URL is not there.
        TensorError: no such protocol, or its package is not installed.
    """
    try:
        system, path = fsspec.core.url_to_fs(url)
    except FileNotFoundError as error:  # A chained file system opens its target at once.
        raise TensorNotFoundError(f"{url}: nothing lies there.") from error
    except (ImportError, ValueError, OSError) as error:
        raise TensorError(f"{url}: {error}; is the protocol right, and its fsspec package installed?") from error
    return system, path


def url_exists(url: str) -> bool:
    """Whether anything lies at a URL. Raises TensorError where its file system cannot say."""
    system, path = file_system(url)
    try:
        return bool(system.exists(path) or system.exists(f"{path}/{ROOT_FILE}"))
    except Exception as error:  # Each file system raises its own when it is offline or refuses.
        raise TensorError(f"{url}: cannot be reached: {error}.") from error


def url_store(url: str, *, read_only: bool) -> FsspecStore:
    """The Zarr store at a URL."""
    try:
        return FsspecStore.from_url(url, read_only=read_only)
    except (ImportError, ValueError, OSError) as error:
        raise TensorError(f"{url}: cannot be opened: {error}.") from error


def existing_store(location: str) -> Store:
    """The store at a location where something lies.

    Raises:
        TensorNotFoundError: nothing lies there.
        SchemaError: what lies there is no Zarr v3 group.
        CorruptTensorError: it was one, and is cut short.
        TensorError: it cannot be reached.
    """
    if is_url(location):
        url = f"zip::{location}" if location.endswith(".zip") and "::" not in location else location
        if not url_exists(url):
            raise TensorNotFoundError(f"{location}: nothing lies there.")
        return url_store(url, read_only=True)
    path = local_path(location)
    try:
        if path.is_dir():
            _check_folder(path)
            return LocalStore(path, read_only=True)
        if not path.exists():
            raise TensorNotFoundError(f"{location}: no such file or folder.")
        if path.suffix != ".zip":
            raise SchemaError(f"{location}: a file that is neither .zip nor .npz; name a Zarr folder, or one of these.")
        return _zip_store(path)
    except OSError as error:
        raise TensorError(f"{location}: cannot be read: {error}.") from error


def is_zarr_folder(path: Path) -> bool:
    """Whether a local folder has the root file of a Zarr v3 group or array."""
    return (path / ROOT_FILE).is_file()


def _check_folder(path: Path) -> None:
    if is_zarr_folder(path):
        return
    if is_zarr_folder(path / "correct"):
        raise CorruptTensorError(f"{path}: the Zarr group has lost its {ROOT_FILE}; restore it or record it again.")
    raise SchemaError(f"{path}: a folder without {ROOT_FILE}, so no Zarr v3 group; name the folder of a tensor.")


def _zip_store(path: Path) -> ZipStore:
    try:
        with zipfile.ZipFile(path) as archive:
            if ROOT_FILE not in archive.namelist():
                raise SchemaError(f"{path}: no {ROOT_FILE} at its root; zip what is inside the tensor's folder.")
    except zipfile.BadZipFile as error:
        raise CorruptTensorError(f"{path}: not a zip file, or cut short ({error}); copy it again.") from error
    return ZipStore(path, mode="r")


def pack(folder: Path, archive: Path) -> None:
    """Packs a Zarr folder into a `.zip` without compressing its chunks again."""
    with zipfile.ZipFile(archive, "x", zipfile.ZIP_STORED) as packed:
        for parent, _, names in os.walk(folder):
            for name in sorted(names):
                file = Path(parent, name)
                packed.write(file, file.relative_to(folder).as_posix())
