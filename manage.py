#!/usr/bin/env python
"""The command line of the product: `manage.py up` runs it, `manage.py help` lists the rest."""

from __future__ import annotations

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")
    execute_from_command_line(sys.argv)
