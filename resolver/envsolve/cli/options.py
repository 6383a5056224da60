"""Arguments and options of the command line, each said once."""

from __future__ import annotations

from typing import Annotated

import typer

Texts = list[str] | None
Text = str | None
Targets = Annotated[Texts, typer.Argument(metavar="TARGET...", show_default=False)]
GpuNames = Annotated[Texts, typer.Option("--gpu", metavar="NAME", help="auto, none, 'RTX 3090', sm_86; repeatable")]
RequireGpu = Annotated[bool | None, typer.Option("--require-gpu", help="no answer rather than one on the CPU")]
Driver = Annotated[Text, typer.Option("--driver", metavar="VERSION", help="driver of the machine --gpu describes")]
PythonName = Annotated[Text, typer.Option("--python", metavar="X.Y", help="the Python it must have")]
OsName = Annotated[Text, typer.Option("--os", metavar="NAME", help="the OS release it must have")]
Accepted = Annotated[Texts, typer.Option("--accept", metavar="jit|substitute", help="admit these; repeatable")]
AsOf = Annotated[Text, typer.Option("--as-of", metavar="DATE", help="packages as of this date")]
BuildIt = Annotated[bool, typer.Option("--build", help="go on: build and smoke-test")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="answer only: lock and write nothing")]
Output = Annotated[Text, typer.Option("--output", "-o", metavar="DIR", help="folder to write [envsolve]")]
BackendName = Annotated[
    Text, typer.Option("--backend", metavar="NAME", help="docker, podman, buildah, apptainer, local")
]
Prefix = Annotated[Text, typer.Option("--prefix", metavar="DIR", help="where the local engine builds")]
Own = Annotated[Text, typer.Option("--smoke", metavar="SCRIPT", help="a check of your own, run beside the others")]
Record = Annotated[bool, typer.Option("--record", help="write the result as a fact under verified/")]
RecordTo = Annotated[Text, typer.Option("--record-to", metavar="FILE", help="the same, to this file or folder")]
Json = Annotated[bool, typer.Option("--json", help="print one JSON document on stdout")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="say nothing on stderr but warnings and errors")]
Offline = Annotated[bool, typer.Option("--offline", help="use cached index pages, fetch nothing")]
Force = Annotated[bool, typer.Option("--force", help="overwrite files that were edited by hand")]
Check = Annotated[bool, typer.Option("--check", help="write nothing; exit 3 when it is out of date")]
Upgrade = Annotated[Texts, typer.Option("--upgrade", metavar="NAME", help="let this package move; repeatable")]
Folder = Annotated[str, typer.Argument(metavar="DIR", help="a folder that envsolve wrote", show_default=False)]
Command = Annotated[Texts, typer.Argument(metavar="-- COMMAND...", show_default=False)]
Base = Annotated[Text, typer.Option("--base", metavar="IMAGE", help="build on this image in place of the lock's")]
Mirror = Annotated[Text, typer.Option("--registry-mirror", metavar="HOST", help="take Docker Hub's image from there")]
Compose = Annotated[bool, typer.Option("--compose", help="write a compose.yaml too")]
Devcontainer = Annotated[bool, typer.Option("--devcontainer", help="write a devcontainer.json too (-o .devcontainer)")]
Apptainer = Annotated[bool, typer.Option("--apptainer", help="write an apptainer.def too")]
CacheMounts = Annotated[bool, typer.Option("--cache-mounts", help="write a Dockerfile.buildkit too: caches, secrets")]
Platform = Annotated[Text, typer.Option("--platform", metavar="OS/ARCH", help="of the image [that of the wheels]")]
Attest = Annotated[bool, typer.Option("--attest", help="SBOM and provenance, where buildx can")]
GpuDevices = Annotated[Texts, typer.Option("--gpu", metavar="INDEX|UUID", help="of this machine; none; repeatable")]
AnyFolder = Annotated[Text, typer.Argument(metavar="DIR", help="a folder that envsolve wrote", show_default=False)]
Pasted = Annotated[Text, typer.Option("--error", metavar="TEXT", help="say what this error means; - reads it")]
Axis = Annotated[Text, typer.Argument(metavar="AXIS", help="python, cuda, os, tensorflow, ...")]
AllAxes = Annotated[bool, typer.Option("--all", help="every axis: what was taken, and what the others failed on")]
Tree = Annotated[bool, typer.Option("--tree", help="the way from the request to the stack, as a tree")]
Drawing = Annotated[bool, typer.Option("--svg", help="the same as a drawing, SVG on stdout")]
Package = Annotated[Text, typer.Option("--package", metavar="NAME", help="why this package is in the lock")]
Spec = Annotated[list[str], typer.Argument(metavar="PACKAGE==VERSION|CAP|GPU|IMAGE|'cuda 8.0'", show_default=False)]
OwnFacts = Annotated[Texts, typer.Option("--facts", metavar="FILE", help="facts of your own over the database's")]
OwnIndex = Annotated[
    Texts, typer.Option("--index", metavar="URL=NAME,...", help="these packages from that index alone")
]
Scanned = Annotated[str, typer.Argument(metavar="PATH", help="a folder, a script or a model file", show_default=False)]
SolveIt = Annotated[bool, typer.Option("--solve", help="go on: solve, lock and write, with the options of solve")]
Table = Annotated[Text, typer.Argument(metavar="TABLE", show_default=False)]
