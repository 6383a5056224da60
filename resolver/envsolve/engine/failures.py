"""What a failed container build or start means: from an engine's words to one error with a way out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from envsolve.errors import BuildError, EnvsolveError, NotReadyError
from envsolve.models import Lock
from envsolve.quoting import word
from envsolve.repairs import of_failed_pull

_SAID = 8
"""Lines of a log that an error repeats."""

# BuildKit numbers its lines and says when: "#12 3.417 ERROR: ..."
_STAMP = re.compile(r"^#\d+ (?:\d+\.\d+ )?")
_TELLING = re.compile(
    r"^(?:ERROR|error|E|fatal|FATAL|\w*Error|\w*Exception|subprocess\.\w+)\b ?[:\-]|^\w+\.\w*Error: |^curl: "
)
_NOISE = re.compile(
    r"^(?:Step \d+/\d+ :|Removing intermediate container| ---> |--->|\[Warning\]|-{3,}$|Dockerfile:\d+|\s*\d+ \||"
    r"WARNING: |You should consider upgrading|The command '/bin/sh -c |ERROR: failed to (?:build|solve)|#\d+ \[)"
)
_FULL = re.compile(r"no space left on device|disk quota exceeded|ENOSPC", re.IGNORECASE)
_GONE = re.compile(r"manifest (?:unknown|for .* not found)|: not found$|pull access denied|repository does not exist")
_UNREACHED = re.compile(
    r"dial tcp|no such host|Client\.Timeout|TLS handshake|failed to (?:resolve source metadata|do request)|i/o timeout|"
    r"connection refused|error pulling image|toomanyrequests"
)
_CERTIFICATE = re.compile(r"CERTIFICATE_VERIFY_FAILED|certificate verify failed|SSLCertVerificationError|x509:")
_HASHES = re.compile(r"DO NOT MATCH THE HASHES")
_NO_INDEX = re.compile(
    r"NewConnectionError|Temporary failure in name resolution|Name or service not known|ProxyError|ReadTimeoutError|"
    r"Could not (?:fetch URL|connect)|Network is unreachable"
)
_NO_FILE = re.compile(
    r"No matching distribution found for (\S+)|Could not find a version that satisfies the requirement (\S+)"
)
_NO_GPU = re.compile(
    r"could not select device driver|CDI device injection failed|unresolvable CDI device|"
    r"[Uu]nknown (?:or invalid )?runtime|nvidia-container-cli|libnvidia-ml"
)


def meaningful(lines: Sequence[str]) -> tuple[str, ...]:
    """The last lines of a log that say what went wrong: those that name an error, else simply the last."""
    plain = [_STAMP.sub("", line).rstrip() for line in lines]
    plain = [line for line in plain if line.strip() and not _NOISE.search(line)]
    telling = [line for line in plain if _TELLING.search(line)]
    chosen = telling[-_SAID:] if telling else plain[-_SAID:]
    return tuple(dict.fromkeys(line.strip()[:400] for line in chosen))


def build_failure(lines: Sequence[str], message: str, lock: Lock, log: Path, engine: str) -> EnvsolveError:
    """The error for a build that failed with ``message`` after printing ``lines``."""
    facts = meaningful(lines) or (message,)
    whole = f"less {word(log)}"
    text = "\n".join((*lines[-60:], message))
    image = lock.image.reference
    if lock.image.python_image and lock.image.python_image.rpartition("/")[2].partition("@")[0] in message:
        image = lock.image.python_image
    if _FULL.search(text):
        hints = (f"{engine} system df", f"{engine} builder prune   # gives up the build cache", whole)
        if engine == "apptainer":
            hints = ("apptainer cache clean", "APPTAINER_TMPDIR=DIR, where there is room for the stages", whole)
        return NotReadyError("the disk is full: the build was given up", facts=facts, hints=hints, code="disk-full")
    if (repair := of_failed_pull(message)) is not None:
        return NotReadyError(
            f"the image {image} cannot be pulled: {repair.why}",
            facts=(message.strip()[:400],),
            hints=((repair.fix or whole).replace("{image}", image), "envsolve build DIR --base IMAGE"),
            code="image-format",
        )
    started = any(re.search(r"Running in [0-9a-f]{12}|#\d+ \[.*\] RUN ", line) for line in lines)
    if not started and (_GONE.search(message) or _UNREACHED.search(message)):
        what = (
            "is not in its registry any more"
            if _GONE.search(message)
            else "is not here, and its registry was not reached"
        )
        return NotReadyError(
            f"the {'base ' if image == lock.image.reference else ''}image {image} {what}",
            facts=(message.strip()[:400],),
            hints=(f"{engine} pull {image}", "envsolve doctor"),
            code="no-base-image",
        )
    if _HASHES.search(text):
        return BuildError(
            "a file from the index is not the one that was locked: its hash differs",
            facts=_hash_lines(lines) or facts,
            hints=("pip config list   # which index, which proxy", whole),
            code="hash-mismatch",
        )
    if _CERTIFICATE.search(text):
        return BuildError(
            "the index's certificate is not trusted inside the build",
            facts=facts,
            hints=("pip config set global.cert /path/to/ca-bundle.crt   # your company's bundle", whole),
            code="untrusted-certificate",
        )
    if _NO_INDEX.search(text):
        return BuildError(
            "the package index cannot be reached from inside the build",
            facts=facts,
            hints=("pip config list   # index-url and proxy reach the build", "env | grep -i proxy", whole),
            code="index-unreachable",
        )
    if found := _NO_FILE.search(text):
        name = found.group(1) or found.group(2)
        return BuildError(
            f"the index of the build does not have the locked file of {name}", facts=facts, hints=(whole,)
        )
    return BuildError(f"the image could not be built: {message.strip()[:300]}", facts=facts, hints=(whole,))


def _hash_lines(lines: Sequence[str]) -> tuple[str, ...]:
    plain = [_STAMP.sub("", line).strip() for line in lines]
    return tuple(
        line for line in plain if re.match(r"(?:Expected|or|Got) +(?:sha256 )?|\S+==\S+ .*:$|\S+ from http", line)
    )[-6:]


def start_failure(message: str, engine: str, image: str) -> EnvsolveError:
    """The error for a container that could not be started."""
    if _NO_GPU.search(message):
        return NotReadyError(
            f"{engine} cannot give a container the GPU",
            facts=(message.strip()[:400],),
            hints=(
                "sudo apt-get install nvidia-container-toolkit",
                "sudo nvidia-ctk runtime configure && sudo systemctl restart docker",
                "envsolve doctor",
            ),
            code="no-gpu-runtime",
        )
    if _FULL.search(message):
        return NotReadyError("the disk is full", hints=(f"{engine} system df",), code="disk-full")
    # The engine's own words come last, after the address of its socket and a long id.
    said = message.rpartition("Internal Server Error")[2].strip(" ()\"'") or message.strip()
    return NotReadyError(
        f"{engine} could not start a container of {image}",
        facts=(said[:400],),
        hints=("envsolve doctor",),
    )
