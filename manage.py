#!/usr/bin/env python
"""The command line of the product: `manage.py up` runs it, `manage.py help` lists the rest."""

from __future__ import annotations

import os
import sys

from django.core.management import execute_from_command_line

from hub.launcher.installation import join_running
from hub.launcher.up import DATA_FOLDER

if __name__ == "__main__":
    if sys.argv[1:2] != ["up"]:
        join_running(DATA_FOLDER)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")
    execute_from_command_line(sys.argv)
