"""Fetching the code of a Run from an archive that was uploaded by its digest.

The archive is a tar.gz. It is unpacked with Python's `data` filter: nothing outside the
folder, no devices, no owner, no set-uid bits.
"""

import tarfile
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

from trainyard_api.progress import Told

from trainyard_agent.errors import SourceError, of_system
from trainyard_agent.transport import Tracking


def fetch(
    tracking: Tracking, *, digest: str, into: Path, say: Callable[[str], None] = print
) -> int:
    """Download, verify and unpack the archive; return the number of its entries."""
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch) / "source.tar.gz"
        size = tracking.download(f"/blobs/{digest}", target, digest=digest)
        count = unpack(target, into=into, say=say)
    say(f"unpacked {count} entries of {digest} ({size} bytes) to {into}")
    return count


def unpack(archive: Path, *, into: Path, say: Callable[[str], None] = print) -> int:
    """Unpack a tar.gz and return the number of its entries.

    Raises:
        SourceError: It is no tar.gz, is cut short, holds what may not be unpacked, or there is no
            room for it.
    """
    into.mkdir(parents=True, exist_ok=True)
    count = done = 0
    told = Told("unpacked", say)
    try:
        with tarfile.open(archive, mode="r:gz") as tar:
            for member in tar:
                tar.extract(member, path=into, filter="data")
                count += 1
                done += member.size
                told(done, 0)
    except tarfile.FilterError as exc:
        raise SourceError(
            f"the archive holds an entry that may not be unpacked: {exc}", reason="UnsafePath"
        ) from exc
    # Names with NUL and times without end are a ValueError and its like.
    except (
        tarfile.TarError,
        EOFError,
        OSError,
        LookupError,
        ValueError,
        ArithmeticError,
        zlib.error,
    ) as exc:
        if isinstance(exc, OSError) and exc.errno:
            # What gzip says has no number: this is the folder's.
            said, reason = of_system(exc, str(into))
            raise SourceError(
                f"the archive can't be unpacked to {into}: {said}", reason=reason
            ) from exc
        raise SourceError(f"the archive is no readable tar.gz: {exc}") from exc
    return count
