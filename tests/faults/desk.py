"""Runs management commands given as JSON lines on stdin and answers each with what it printed and its exit code."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import traceback

from django.core.management import execute_from_command_line
from django.db import close_old_connections, connection


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")
    answers = sys.stdout
    for line in sys.stdin:
        answers.write(json.dumps(run(json.loads(line))) + "\n")
        answers.flush()


def run(arguments: list[str]) -> dict[str, str | int]:
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            close_old_connections()
            execute_from_command_line(["manage.py", *arguments])
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
        except Exception:
            code = 1
            traceback.print_exc()
            connection.close()
    return {"code": code, "out": out.getvalue(), "err": err.getvalue()}


if __name__ == "__main__":
    main()
