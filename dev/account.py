"""With whose rights the Postgres programs run: they refuse to run as root, so root lends them another face.

An ordinary user runs them as is. Root runs them inside a user namespace, where root appears under another name: that
works even in a folder that only root may enter. Where namespaces are refused, they run as an unprivileged user, in a
folder that user can reach; that folder is written down in ``elsewhere``, so that later starts find it again.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from dev.trouble import Trouble

# Set to "off", user namespaces are not tried: for systems where they are allowed but not wanted, and for the tests.
_SWITCH = "SHOP_USER_NAMESPACES"


@dataclass(frozen=True, kw_only=True)
class Account:
    """How to run the programs (``prefix`` before the command, or ``ids`` to change to) and where their files live."""

    home: Path
    programs: Path
    prefix: tuple[str, ...] = ()
    ids: tuple[int, int] | None = None
    note: str | None = None

    def run(self, argv: list[str], *, give: int, words: str = "") -> subprocess.CompletedProcess[str]:
        """Run one of the programs to its end, holding descriptor ``give``, with ``words`` on its standard input."""
        uid, gid = self.ids or (None, None)
        return subprocess.run(
            [*self.prefix, *argv],
            input=words,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self.home,
            pass_fds=[give],
            start_new_session=True,  # a Ctrl-C in the terminal is for the launcher alone
            user=uid,
            group=gid,
            extra_groups=None if uid is None else [],
            check=False,
        )

    def hand_over(self, path: Path) -> None:
        """Let the account own a file we made."""
        if self.ids is not None:
            os.chown(path, *self.ids)


def choose(directory: Path, programs: Path) -> Account:
    """Return the account for a cluster in ``directory``. Raises Trouble where there is no way."""
    if _is_ordinary():
        return Account(home=directory, programs=programs)
    named = _somebody()
    if not (directory / "elsewhere").exists():
        prefix = ("unshare", "--user", f"--map-user={named.pw_uid}", f"--map-group={named.pw_gid}", "--")
        if _namespace_reaches(directory, prefix):
            return Account(home=directory, programs=programs, prefix=prefix)
        if (directory / "pgdata").exists():
            raise Trouble(
                f"The database in {directory} was made by root inside a user namespace, which this system now refuses: "
                "allow user namespaces again, or set SHOP_DATA_DIR to another folder."
            )
    if os.geteuid() != 0:
        raise Trouble("This user has no entry in /etc/passwd and user namespaces are refused: run as another user.")
    return _unprivileged(directory, programs, named)


def _is_ordinary() -> bool:
    if os.geteuid() == 0:
        return False
    try:
        pwd.getpwuid(os.geteuid())  # initdb insists on a name
    except KeyError:
        return False
    return True


def _somebody() -> pwd.struct_passwd:
    """Return a user who is not root, ``nobody`` where there is one."""
    others = sorted(
        (entry for entry in pwd.getpwall() if entry.pw_uid != 0), key=lambda entry: entry.pw_name != "nobody"
    )
    if not others:
        raise Trouble("PostgreSQL does not run as root, and /etc/passwd names no other user to run it as.")
    return others[0]


def _namespace_reaches(directory: Path, prefix: tuple[str, ...]) -> bool:
    if os.environ.get(_SWITCH) == "off" or shutil.which(prefix[0]) is None:
        return False
    probe = [*prefix, "sh", "-c", 'test -w "$0" && test -x "$0"', str(directory)]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


def _unprivileged(directory: Path, programs: Path, named: pwd.struct_passwd) -> Account:
    ids = (named.pw_uid, named.pw_gid)
    pointer = directory / "elsewhere"
    if not pointer.exists():
        place = Path(tempfile.mkdtemp(prefix="wechat-shop-", dir="/var/tmp"))  # a name nobody could prepare
        place.chmod(0o711)
        (place / "cluster").mkdir(mode=0o700)
        os.chown(place / "cluster", *ids)
        pointer.write_text(f"{place}\n")
    place = Path(pointer.read_text().strip())
    if not (place / "cluster").is_dir() or place.stat().st_uid != 0:
        raise Trouble(f"The database folder {place}, named in {pointer}, is gone: remove {directory} to start anew.")
    return Account(
        home=place / "cluster",
        programs=_reachable(programs, place, ids),
        ids=ids,
        note=f"User namespaces are refused here, so the database runs as {named.pw_name} in {place} instead.",
    )


def _reachable(programs: Path, place: Path, ids: tuple[int, int]) -> Path:
    """Return the programs' folder if the user may enter it, else that of a copy in ``place``."""
    try:
        subprocess.run([programs / "postgres", "-V"], user=ids[0], group=ids[1], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pass
    else:
        return programs
    package = programs.parents[1]  # the libraries are found relative to the programs, so the copy keeps the layout
    copy = place / "programs" / package.name / programs.parent.name / programs.name
    theirs = (programs / "postgres").stat()
    if not copy.exists() or (copy / "postgres").stat().st_mtime != theirs.st_mtime:
        shutil.rmtree(place / "programs", ignore_errors=True)
        shutil.copytree(package.with_name(f"{package.name}.libs"), place / "programs" / f"{package.name}.libs")
        shutil.copytree(programs.parent, copy.parent, symlinks=True)
    return copy
