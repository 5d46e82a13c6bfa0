"""The process that `manage.py up` becomes: the supervisor alone, without Django and its memory."""

from __future__ import annotations

import sys

from hub.launcher.up import main

sys.exit(main(sys.argv[1:]))
