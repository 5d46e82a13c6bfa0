"""What jobs refuse, and how a step says that its job cannot go on.

JobsError
├── WrongState   the job is in no state from which this can be done
├── UnknownKind  nothing is wired for the job's kind
└── StepFailed   raised by a step: the job has failed, for the reason that the message gives
"""

from __future__ import annotations


class JobsError(Exception):
    """Base of all; the message is for the person who looks at the job."""


class WrongState(JobsError):
    """The job is in no state from which this can be done."""


class UnknownKind(JobsError):
    """Nothing is wired for the job's kind."""


class StepFailed(JobsError):
    """A step cannot be done and trying again will not help."""
