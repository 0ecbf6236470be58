"""Pictures: plain files in one folder, served under `/media/`; a name is never used twice for other content."""

import re
from pathlib import Path

from kit.errors import NotFound

URL = "/media"
TYPES = {
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".mp4": "video/mp4",
}
HEADERS = {
    "cache-control": "public, max-age=31536000, immutable",
    # An SVG is a document: opened by itself it must run nothing and fetch nothing.
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
}
_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,99}\.[0-9a-z]{1,5}", re.ASCII)


class NoSuchFile(NotFound):
    """There is no such file."""

    zh = "文件不存在"


def find(folder: Path, name: str) -> tuple[Path, str]:
    """The file and its content type. Raises `NoSuchFile`, also for every name that we would not have given."""
    if not _NAME.fullmatch(name):
        raise NoSuchFile
    path = folder / name
    kind = TYPES.get(path.suffix)
    # Not through a link either: what is served lies in the folder itself.
    if kind is None or path.is_symlink() or not path.is_file():
        raise NoSuchFile
    return path, kind


def write(folder: Path, name: str, content: str) -> str:
    """Write a text file whole or not at all; gives its URL path."""
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f".{name}.part"
    unfinished.write_text(content, encoding="utf-8")
    unfinished.replace(folder / name)
    return f"{URL}/{name}"
