"""Dies by SIGKILL once a check waits for space on a full disk; run by `test_full_disk.py`.

python -m tests.services.models.killed_waiting FOLDER JOB
"""

import os
import signal
import sys
import time
from pathlib import Path

from tests.services.models.modelroom import modelroom

from strongroom.services.jobs.types import JobState


def main(folder: Path, job: str) -> None:
    """Do jobs until that one waits."""
    with modelroom(folder) as room:
        while room.jobs.status(job).state is not JobState.WAITING:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
