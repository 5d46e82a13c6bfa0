"""The limit on open files is raised where it may be, and told where it may not."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
from hub.launcher.limits import require_open_files
require_open_files(300)
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


def run(soft: int, hard: int) -> subprocess.CompletedProcess[str]:
    script = SCRIPT.format(soft=soft, hard=hard)
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("soft", "after"), [(200, "300"), (350, "350")])
def test_a_low_limit_is_raised_and_a_high_one_kept(soft: int, after: str) -> None:
    assert run(soft, 400).stdout.strip() == after


def test_a_limit_that_may_not_be_raised_is_told() -> None:
    assert "may open 250 files and needs 300" in run(200, 250).stderr
