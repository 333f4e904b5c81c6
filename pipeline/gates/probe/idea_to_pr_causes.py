"""What the engine's probes have in common: what they are told, and what they record of a failure.

It imports only the standard library, because it runs in the tested project's own environment.
"""

import json
import os
import re
import sys
import traceback
from pathlib import Path

CANARY = os.environ.get("IDEA_TO_PR_CANARY", "")
OUT = os.environ.get("IDEA_TO_PR_PROBE", "")
WATCH = {name for name in os.environ.get("IDEA_TO_PR_WATCH", "").split(",") if name}

TRACE_MAX_FILES = 50
TEXT_MAX_CHARACTERS = 500

_KEYWORD = re.compile(r"unexpected keyword arguments?:? '([^']+)'|takes .* positional argument")
_DJANGO = {"FieldDoesNotExist", "FieldError", "NoReverseMatch", "TemplateDoesNotExist"}
"""Django's exceptions for a name that the project does not have."""

_IMPORTED = re.compile(r"cannot import name '([^']+)'")


def fail():
    """Fail, always: what the engine's own test does."""
    raise AssertionError("this test of the engine's own always fails")


def recorded(error, assertions, file, *, collecting=False):
    """Return what is recorded of a failure; `assertions` are the types that are one.

    Only a type itself counts: projects derive exceptions of their own from AssertionError.
    """
    missing = _missing(error)
    cause = "missing_name" if missing else None
    return {
        "what": type(error).__name__,
        "text": str(error)[:TEXT_MAX_CHARACTERS],
        "cause": "assertion" if type(error) in assertions else cause,
        "missing": None if type(error) in assertions else missing,
        "trace": _trace(error),
        "file": file,
        "collecting": collecting,
    }


def write(suffix="", **more):
    """Write what was recorded, and from where each watched module was imported."""
    if not OUT:
        return
    origins = {}
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in WATCH:
            # A folder without an __init__.py is a module with places, and no file of its own.
            places = [getattr(module, "__file__", None), *getattr(module, "__path__", ())]
            if place := next(filter(None, places), None):
                origins[name] = os.path.realpath(place)
    Path(OUT + suffix).write_text(json.dumps({"origins": origins, **more}))


def _missing(error):
    """Return the missing name and its owner: a module, something in one, or a parameter."""
    owner, name = _owner_and_name(error)
    # PackageNotFoundError of importlib.metadata derives from it, but no module is missing then.
    is_module = type(error) is ModuleNotFoundError
    if not owner and not name:
        return None
    return {"owner": str(owner), "name": str(name), "is_module": is_module}


def _owner_and_name(error):
    """Return both, as far as the exception knows them; an unknown owner is empty."""
    if isinstance(error, ModuleNotFoundError):
        return error.name or "", ""
    if isinstance(error, ImportError):
        return error.name or "", _named(_IMPORTED, error)
    if isinstance(error, AttributeError):
        owner = getattr(error, "obj", None)
        if isinstance(owner, type(sys)):
            return owner.__name__, error.name or ""
        module = getattr(owner, "__module__", None) or getattr(type(owner), "__module__", "")
        return module, error.name or ""
    if isinstance(error, NameError):
        return _raised_in(error), error.name or ""
    if type(error).__name__ in _DJANGO:
        return "", str(error)
    if isinstance(error, TypeError) and _KEYWORD.search(str(error)):
        return "", _named(_KEYWORD, error)
    return "", ""


def _named(pattern, error):
    """Return the name in the message of an exception, or the whole message."""
    match = pattern.search(str(error))
    return (match and match.group(1)) or str(error)


def frames_of(error):
    """List the frames that an exception passed through, the innermost first."""
    return [frame for frame, _ in traceback.walk_tb(error.__traceback__)][::-1]


def _raised_in(error):
    """Return the module whose code raised an exception."""
    frames = frames_of(error)
    return frames[0].f_globals.get("__name__", "") if frames else ""


def _trace(error):
    """List the files that an exception passed through, the innermost first."""
    names = dict.fromkeys(frame.f_code.co_filename for frame in frames_of(error))
    return [os.path.realpath(name) for name in list(names)[:TRACE_MAX_FILES]]
