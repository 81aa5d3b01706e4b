"""The errors that a user may see: one sentence of what, where, got, expected, and one remedy.

FacemintError
|- ConfigError      a recipe, an override or an option is wrong                  exit 2
|- InputError       a file or picture that the user named can't be used          exit 2
|- WeightsError     a model file is missing, altered, or of another kind         exit 2
|- RoleError        one model file was given two of the roles C, G, A            exit 2
|- ResumeMismatch   a run folder was made from other inputs than these           exit 2
|- StorageError     reading or writing failed after bounded retries              exit 75
|- BusyError        another command drives the run folder                        exit 75
|- BudgetError      more failures than the run allows                            exit 3
|- WorkersLost      worker processes die at everything, or none is left          exit 75
|- StoppedError     a signal ended work that isn't taken up in its middle        exit 75
"""

from __future__ import annotations


class FacemintError(Exception):
    """Anything facemint can explain in one sentence; printed without a traceback."""

    exit_code = 2


class ConfigError(FacemintError):
    """A recipe, an override or an option is wrong."""


class InputError(FacemintError):
    """A file or picture that the user named can't be used."""


class WeightsError(FacemintError):
    """A model file is missing, altered, or of another kind than its place asks for."""


class RoleError(FacemintError):
    """One model file was given two of the roles conditioner, gate and auditor."""


class ResumeMismatch(FacemintError):
    """A run folder was made from other inputs than these."""


class StorageError(FacemintError):
    """Reading or writing failed after bounded retries; what was committed is safe."""

    exit_code = 75


class BusyError(FacemintError):
    """Another command drives the run folder."""

    exit_code = 75


class BudgetError(FacemintError):
    """More failures than the run allows."""

    exit_code = 3


class WorkersLost(FacemintError):
    """Worker processes die at everything, or none is left; what was answered is safe."""

    exit_code = 75


class StoppedError(FacemintError):
    """A signal ended work that isn't taken up in its middle; what was finished before is safe."""

    exit_code = 75
