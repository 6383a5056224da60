"""Prove that this environment is what its lock says, and that it computes what NumPy computes.

    python smoke.py               expects what the envsolve.lock beside this file says
    python smoke.py FILE|JSON     expects what that lock or expectation says

Runs on Python 2.7 and 3.4 or newer, needs NumPy and the frameworks under test only, no network, and no
writable folder but a temporary one. Prints one JSON report on stdout as its last act; everything else,
whatever the frameworks print included, goes to stderr. Exit status 0: every check passed; 1: one did not, or
(then there is no report) the expectation could not be read.

An expectation: {"python": "3.6", "device": "cpu" | "gpu", "frameworks": {"tensorflow": "1.4.1"},
"packages": {"numpy": "1.13.3"}, "backend": Keras' backend or null, "compiler": whether Theano must find one,
"cuda": "8.0" or null, "cudnn": "6.0" or null, "own": a check of the user's own, see run_own, or none}.
References are computed in float64 without BLAS, so that a broken BLAS cannot agree with itself. An "error"
is the largest difference from the reference, as a share of the reference's largest value. On a GPU, where a
framework can do both in one process, its result there is compared with its result on the CPU too.
"""

from __future__ import division, print_function

import base64
import ctypes
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import traceback
import zlib

SCHEMA = "envsolve/smoke-1"
# float32 rounding on a CPU; on a GPU also TF32 (10 bits of mantissa), which some releases use by default.
TOLERANCE = {"cpu": 2e-5, "gpu": 5e-3}
STEP_TOLERANCE = {"cpu": 2e-4, "gpu": 1e-2}
RATE = 0.5
EPSILON = 1e-3
# A first operation this slow on a GPU, and this many times slower than the second, was compiled by the driver.
JIT_SECONDS, JIT_TIMES = 10.0, 20.0
clock = getattr(time, "monotonic", time.time)


class Wrong(Exception):
    """A check came out wrong: the message says how."""

    def __init__(self, text, error=None, tolerance=None):
        Exception.__init__(self, text)
        self.error, self.tolerance = error, tolerance


class Probe(object):
    """What is expected, what was found: runs checks one by one, whatever they raise."""

    def __init__(self, expect, scratch):
        self.expect, self.scratch = expect, scratch
        self.checks, self.versions, self.devices = [], {}, {}
        self.first_ops, self.unproven, self.libraries, self.gpus = {}, [], [], []
        self.driver, self.own = None, None
        self.want = expect.get("device") or "cpu"

    def check(self, name, function, *arguments):
        """Run one check; True when it passed. It gives its detail, or (detail, error, tolerance)."""
        print("smoke: begin " + name, file=sys.stderr)
        sys.stderr.flush()
        row, start = {"name": name, "ok": False, "detail": ""}, clock()
        try:
            result = function(*arguments)
            detail, error, tolerance = result if isinstance(result, tuple) else (result, None, None)
            row["ok"] = True
        except Wrong as wrong:
            detail, error, tolerance = str(wrong), wrong.error, wrong.tolerance
        except KeyboardInterrupt:
            raise
        except BaseException as problem:  # frameworks raise SystemExit too
            traceback.print_exc()
            lines = "".join(traceback.format_exception_only(type(problem), problem)).strip().splitlines()
            detail, error, tolerance = lines[-1].strip() if lines else repr(problem), None, None
            if len(lines) > 1 and not lines[0].startswith(" "):
                detail = lines[0].strip() + " ... " + detail
        row["detail"], row["seconds"] = (detail or "")[:500], round(clock() - start, 3)
        if error is not None:
            row["error"], row["tolerance"] = error, tolerance
        self.checks.append(row)
        print("smoke: %s %s %s" % ("ok" if row["ok"] else "FAIL", name, row["detail"]), file=sys.stderr)
        return row["ok"]

    def ran_on(self, framework, what, device):
        """Remember the device that one operation ran on."""
        self.devices.setdefault(framework, {})[what] = device

    def agree(self, what, reference, run, tolerance=None):
        """run(device) against the reference; on a GPU also against run("cpu"), the same framework's in this process."""
        allowed = (tolerance or TOLERANCE)[self.want]
        got = run(self.want)
        detail, error, _ = compare(got, reference, allowed, what)
        if self.want == "gpu":
            beside = compare(got, run("cpu"), allowed, what, "the CPU of this process")[1]
            detail, error = "%s; from the CPU of this process by %.1e" % (detail, beside), max(error, beside)
        return detail, error, allowed

    def timed(self, framework, run):
        """``run``, after it ran once already: what the first time took beside the second is remembered."""
        start = clock()
        run(self.want)
        first = clock() - start

        def again(device):
            start = clock()
            result = run(device)
            self.first_ops.setdefault(framework, first_op(self.want, first, clock() - start))
            return result

        return again

    def check_device(self, framework):
        """Every remembered operation of the framework ran where the stack was solved for."""
        found = self.devices.get(framework, {})
        wrong = sorted(what for what, device in found.items() if kind(device) != self.want)
        if not found:
            raise Wrong("no operation ran, so no device was seen")
        if wrong:
            raise Wrong("solved for the %s, but %s ran on %s" % (self.want, ", ".join(wrong), found[wrong[0]]))
        return "%s ran on %s" % (", ".join(sorted(found)), ", ".join(sorted(set(found.values()))))

    def report(self, seconds):
        """The document to print."""
        seen = set(kind(device) for found in self.devices.values() for device in found.values())
        device = ("gpu" if seen == {"gpu"} else "cpu") if seen else None
        return {
            "schema": SCHEMA, "ok": bool(self.checks) and all(row["ok"] for row in self.checks),
            "python": "%d.%d.%d" % sys.version_info[:3], "device": device, "versions": self.versions,
            "checks": self.checks, "seconds": round(seconds, 3), "os": system(), "first_ops": self.first_ops,
            "unproven": self.unproven, "libraries": self.libraries, "gpus": self.gpus, "driver": self.driver,
            "own": self.own,
        }  # fmt: skip


def kind(device):
    """'gpu' or 'cpu' for a device as any framework names it."""
    return "gpu" if "gpu" in device.lower() or "cuda" in device.lower() else "cpu"


def first_op(device, first, again):
    """What a framework's first operation took, what the same took again, and whether the driver compiled for it."""
    jit = device == "gpu" and first >= JIT_SECONDS and first >= JIT_TIMES * again
    return {"first": round(first, 3), "again": round(again, 3), "jit": jit}


def system():
    """The operating system that this ran on, as 'debian 12', or None."""
    try:
        with open("/etc/os-release", "rb") as stream:
            lines = stream.read().decode("utf-8", "replace").splitlines()
    except EnvironmentError:
        return None
    fields = dict((name, value.strip("\"' ")) for name, _, value in (line.partition("=") for line in lines))
    return " ".join(fields[name] for name in ("ID", "VERSION_ID") if fields.get(name)) or None
