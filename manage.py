#!/usr/bin/env python
"""The command line of the product: `manage.py up` runs it, `manage.py help` lists the rest."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import psycopg
from django.core.management import execute_from_command_line
from django.db.utils import OperationalError

from hub.launcher.installation import join_running
from hub.launcher.product import DATA_FOLDER
from hub.lib.env import BadEnvironment

if __name__ == "__main__":
    if sys.argv[1:2] != ["up"]:  # DATA_FOLDER is where an `up --data` keeps its own
        join_running(Path(os.environ.get("DATA_FOLDER") or DATA_FOLDER))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")
    try:
        execute_from_command_line(sys.argv)
    except BadEnvironment as error:
        sys.exit(str(error))
    except (OperationalError, psycopg.OperationalError) as error:
        sys.exit(f"The database does not answer: {str(error).splitlines()[0]}")
