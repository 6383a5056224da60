"""The command line: parse, call, print. What the commands do lives in pipeline.py and beyond."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from envsolve import __version__
from envsolve.errors import EnvsolveError, Exit, NoCombinationError, SmokeError, UsageError
from envsolve.present import emit, emit_json, show_error
from envsolve.talk import Talk, wants_color

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
BackendName = Annotated[Text, typer.Option("--backend", metavar="NAME", help="auto, docker, podman or local")]
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
Scanned = Annotated[str, typer.Argument(metavar="PATH", help="a folder, a script or a model file", show_default=False)]
SolveIt = Annotated[bool, typer.Option("--solve", help="go on: solve, lock and write, with the options of solve")]
Table = Annotated[Text, typer.Argument(metavar="TABLE", show_default=False)]


def solve(
    targets: Targets = None,
    gpu: GpuNames = None,
    require_gpu: RequireGpu = None,
    driver: Driver = None,
    python: PythonName = None,
    os_name: OsName = None,
    accept: Accepted = None,
    as_of: AsOf = None,
    backend: BackendName = None,
    facts: OwnFacts = None,
    build: BuildIt = False,
    prefix: Prefix = None,
    dry_run: DryRun = False,
    output: Output = None,
    compose: Compose = False,
    devcontainer: Devcontainer = False,
    force: Force = False,
    json: Json = False,
    offline: Offline = False,
    quiet: Quiet = False,
) -> None:
    """Answer what runs TARGET... (tf==1.4 keras==2.0.8) here and why, and write a folder that builds it."""
    from envsolve import explain, extras, pipeline
    from envsolve.config import defaults

    if dry_run and build:
        raise UsageError("--dry-run contradicts --build", code="contradictory-options")
    if prefix and not build:
        raise UsageError("--prefix says where --build builds, and --build is missing", code="contradictory-options")
    options = defaults()
    typed = {
        "targets": targets, "gpu": gpu, "require_gpu": require_gpu, "driver": driver, "python": python,
        "os": os_name, "accept": accept, "as_of": as_of, "backend": _backend(backend, prefix), "output": output,
        "facts": facts,
    }  # fmt: skip
    options |= {name: value for name, value in typed.items() if value not in (None, [])}
    words, folder = options.pop("targets", ()), Path(options.pop("output", "envsolve"))
    solution = pipeline.answer(words, **options, to_build=build, talk=Talk(quiet))
    document = explain.document(solution) if json else {}
    if not json:
        emit(explain.answer(solution, wants_color(sys.stdout)))
    elif solution.chosen is None or dry_run:
        emit_json(document)
    if solution.chosen is None:
        show_error(NoCombinationError("nothing satisfies the request as it is; the answer says why and what would"))
        raise typer.Exit(Exit.NO_COMBINATION)
    if dry_run:
        return
    more = extras.asked(compose=compose, devcontainer=devcontainer)
    try:
        _write_and_build(solution, folder, document, build, prefix, force, offline, json, Talk(quiet), more)
    except EnvsolveError as error:
        if not json:
            raise
        from envsolve.present import error_document

        emit_json(document | {"error": error_document(error)})
        show_error(error)
        raise typer.Exit(error.exit_code) from None
    if json:
        emit_json(document)


def _write_and_build(
    solution: Any, folder: Path, document: dict[str, Any], build: bool, prefix: str | None, force: bool,
    offline: bool, json: bool, talk: Talk, more: Sequence[str] = (),
) -> None:  # fmt: skip
    """After the answer: lock, write, and with --build build and prove. Adds what it did to the JSON document."""
    from envsolve import folder as folders
    from envsolve import pipeline
    from envsolve.present import written_text

    with talk.step("lock"):
        prepared = pipeline.prepare(solution, offline=offline, talk=talk)
    folders.write(folder, pipeline.rendered(prepared.lock, folder, more), force=force)
    talk.say(written_text(folder, prepared.lock))
    document["folder"] = str(folder)
    document["lock"] = {"as_of": prepared.lock.as_of.isoformat(), "packages": len(prepared.lock.packages)}
    if build:
        _build(folder, prepared.lock, None, prefix, document, json, talk)


def _build(
    folder: Path, lock: Any, backend: str | None, prefix: str | None, document: dict[str, Any], json: bool, talk: Talk,
    base: str | None = None,
) -> None:  # fmt: skip
    from envsolve import pipeline

    engine, built = pipeline.build(folder, lock, talk, backend=backend, prefix=_path(prefix), base=base)
    _report(pipeline.run_smoke(engine, built, lock, folder, talk), document, json)


def _report(outcome: Any, document: dict[str, Any], json: bool) -> None:
    """The smoke report on stdout; raises SmokeError when it failed."""
    from envsolve.present import built_document, smoke_text

    document |= built_document(outcome)
    if not json:
        emit(smoke_text(outcome.smoke, outcome.built.tag, outcome.frameworks))
    if not outcome.smoke.ok:
        failed = tuple(f"{c.name}: {c.detail}" for c in outcome.smoke.checks if not c.ok)
        log = (outcome.smoke.log.strip(),) if outcome.smoke.log.strip() and not failed else ()
        raise SmokeError(f"it was built, and its smoke test failed in {outcome.built.subject}", facts=failed + log)


def _backend(backend: str | None, prefix: str | None) -> str | None:
    """``--prefix`` is the local engine's; without a name it names that engine."""
    from envsolve.models import Backend as BackendKind

    known = get_args(BackendKind)
    if backend and backend not in known:
        hints = tuple(f"--backend {name}" for name in known)
        raise UsageError(f"--backend {backend}: there is no such choice", hints=hints, code="bad-backend")
    if prefix and backend in ("docker", "podman"):
        raise UsageError(f"--prefix is for --backend local, not {backend}", code="contradictory-options")
    return "local" if prefix else backend


def _path(text: str | None) -> Path | None:
    return Path(text).expanduser() if text else None


def build(
    folder: Folder,
    backend: BackendName = None,
    prefix: Prefix = None,
    base: Base = None,
    registry_mirror: Mirror = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Build a folder that envsolve wrote, and smoke-test it."""
    from envsolve.engine.basing import stand_in

    lock = _read_lock(folder)
    other = stand_in(lock, base, registry_mirror)
    _with_document("envsolve/build-1", json, lambda document: _build(
        Path(folder), lock, _backend(backend, prefix), prefix, document, json, Talk(quiet), other
    ))  # fmt: skip


def smoke(
    folder: Folder,
    own: Own = None,
    record: Record = False,
    record_to: RecordTo = None,
    backend: BackendName = None,
    prefix: Prefix = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run the smoke test of a folder, building it first when that was not done."""
    from envsolve import pipeline
    from envsolve.verified import record as record_fact

    def run(document: dict[str, Any]) -> None:
        talk, locked = Talk(quiet), _read_lock(folder)
        outcome = pipeline.smoke(
            Path(folder), locked, talk, backend=_backend(backend, prefix), prefix=_path(prefix), own=_path(own)
        )
        if record or record_to:
            document["recorded"] = str(record_fact(locked, outcome.smoke, _path(record_to)))
            talk.say(f"recorded: {document['recorded']}")
        _report(outcome, document, json)

    _with_document("envsolve/smoke-1", json, run)


def run_command(
    folder: Folder,
    command: Command = None,
    gpu: GpuDevices = None,
    backend: BackendName = None,
    prefix: Prefix = None,
    quiet: Quiet = False,
) -> None:
    """Run a command in what a folder was built to: as yourself, in the current folder, with the GPU of the stack."""
    from envsolve.engine.run import shell_words

    _run(folder, shell_words(command), gpu, backend, prefix, quiet)


def shell(
    folder: Folder, gpu: GpuDevices = None, backend: BackendName = None, prefix: Prefix = None, quiet: Quiet = False
) -> None:
    """Open a shell in what a folder was built to, as ``envsolve run`` does with a command."""
    _run(folder, (), gpu, backend, prefix, quiet)


def _run(folder: str, words: Sequence[str], gpu: Texts, backend: str | None, prefix: str | None, quiet: bool) -> None:
    """Exits with the command's own code."""
    from envsolve.running import run

    code = run(
        Path(folder), _read_lock(folder), words, Talk(quiet),
        backend=_backend(backend, prefix), prefix=_path(prefix), gpus=gpu,
    )  # fmt: skip
    raise typer.Exit(code)


def _with_document(schema: str, json: bool, run: Callable[[dict[str, Any]], None]) -> None:
    """Run; with --json print one document, also when the run ends in a failed smoke test."""
    document: dict[str, Any] = {"schema": schema}
    try:
        run(document)
    except SmokeError as error:
        if not json:
            raise
        emit_json(document)
        show_error(error)
        raise typer.Exit(error.exit_code) from None
    if json:
        emit_json(document)


def _read_lock(folder: str) -> Any:
    from envsolve.folder import read_lock

    return read_lock(Path(folder))


def why(
    folder: AnyFolder = None,
    axis: Axis = None,
    everything: AllAxes = False,
    tree: Tree = False,
    svg: Drawing = False,
    package: Package = None,
    error: Pasted = None,
    facts: OwnFacts = None,
    json: Json = False,
) -> None:
    """Say which facts led to a lock and what others failed on; why a package is in it; or what an error means."""
    if error is not None:
        _why_error(error, folder, axis, facts, json)
        return
    if folder is None:
        raise UsageError(
            "why: DIR is missing", hints=("envsolve why --help", "envsolve why --error TEXT"), code="missing-argument"
        )
    from envsolve import retrace

    lock = _read_lock(folder)
    asked = retrace.Asked(axis=axis, everything=everything, tree=tree, svg=svg, package=package)
    told = retrace.told(lock, _facts(facts), folder, asked)
    if told.note:
        Talk(False).warn(told.note)
    emit_json(told.document) if json else emit(told.text)


def _why_error(error: str, folder: str | None, axis: str | None, own: Texts, json: bool) -> None:
    """What a pasted error means; exit 1 when the database does not know it."""
    from envsolve import causes, causes_text
    from envsolve.pasted import read_pasted

    if axis:
        raise UsageError("an axis says nothing about --error", hints=(f"envsolve why {folder} --error TEXT",))
    facts, lock = _facts(own), _read_lock(folder) if folder else None
    diagnosis = causes.diagnose(read_pasted(error), facts, lock)
    if json:
        emit_json(causes_text.document(diagnosis, facts, lock))
    else:
        emit(causes_text.text(diagnosis, facts, lock))
    if not diagnosis.found:
        raise typer.Exit(Exit.NO_COMBINATION)


def lock(
    folder: Folder,
    check: Check = False,
    upgrade: Upgrade = None,
    as_of: AsOf = None,
    force: Force = False,
    facts: OwnFacts = None,
    offline: Offline = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Lock a folder again from its own request, check that nothing would change, or upgrade a package of it."""
    from envsolve import folder as folders
    from envsolve import pipeline
    from envsolve.lock.changes import changes, lines
    from envsolve.request import parse_day

    if check and upgrade:
        raise UsageError("--check writes nothing, --upgrade does", code="contradictory-options")
    old, talk, day = _read_lock(folder), Talk(quiet), parse_day(as_of) if as_of else None
    own = _facts(facts) if facts else None
    with talk.step("lock"):
        new = pipeline.relock(old, facts=own, offline=offline, upgrade=upgrade or (), as_of=day, talk=talk)
    if check:
        pipeline.check_lock(old, new, pipeline.index_fates(old, offline=offline))
        talk.say(f"{folder} is up to date")
        return
    folders.write(Path(folder), pipeline.rendered(new, Path(folder)), force=force)
    moved = changes(old, new)
    if json:
        emit_json({"schema": "envsolve/lock-changes-1", "changes": [change.document() for change in moved]})
    else:
        emit("\n".join(lines(moved)) or "nothing moved")


def vendor(
    folder: Folder,
    backend: BackendName = None,
    force: Force = False,
    offline: Offline = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Bring all that a build needs into DIR/vendor (locked files, base image), so that it needs no network."""
    from envsolve import folder as folders
    from envsolve import offline as offlines
    from envsolve import pipeline

    place, locked = Path(folder), _read_lock(folder)
    report = offlines.vendor(place, locked, Talk(quiet), backend=_backend(backend, None), offline=offline)
    folders.write(place, pipeline.rendered(locked, place), force=force)
    emit_json(report.document()) if json else emit(report.text())


def render(
    folder: Folder,
    check: Check = False,
    force: Force = False,
    compose: Compose = False,
    devcontainer: Devcontainer = False,
) -> None:
    """Write a folder's files again from its lock, or check that they are what it gives."""
    from envsolve import extras, pipeline
    from envsolve import folder as folders

    more = extras.asked(compose=compose, devcontainer=devcontainer)
    files = pipeline.rendered(_read_lock(folder), Path(folder), more)
    if check:
        pipeline.check_files(Path(folder), files)
    else:
        folders.write(Path(folder), files, force=force)


def doctor(json: Json = False, offline: Offline = False) -> None:
    """Check whether this machine can solve, lock, build and run."""
    from envsolve.doctor import examine, findings_text

    findings = examine(offline=offline)
    if json:
        emit_json({"schema": "envsolve/doctor-1", "findings": [f.model_dump(mode="json") for f in findings]})
    else:
        emit(findings_text(findings, wants_color(sys.stdout)))
    if any(f.severity == "blocks" for f in findings):
        raise typer.Exit(Exit.NOT_READY)


def scan(
    path: Scanned,
    as_of: AsOf = None,
    solve_it: SolveIt = False,
    gpu: GpuNames = None,
    require_gpu: RequireGpu = None,
    driver: Driver = None,
    python: PythonName = None,
    os_name: OsName = None,
    accept: Accepted = None,
    backend: BackendName = None,
    facts: OwnFacts = None,
    build: BuildIt = False,
    prefix: Prefix = None,
    dry_run: DryRun = False,
    output: Output = None,
    force: Force = False,
    json: Json = False,
    offline: Offline = False,
    quiet: Quiet = False,
) -> None:
    """Read a folder, a script or a model file, and say what it needs and why; --solve goes on with the answer."""
    from envsolve.scan import project, report

    found = project.scan_path(Path(path), _facts(facts), as_of, Talk(quiet))
    if not solve_it:
        emit_json(project.document(found)) if json else emit(report.text(found, wants_color(sys.stdout)))
        return
    Talk(quiet).say(report.text(found))
    solve(
        targets=found.solvable(), gpu=gpu, require_gpu=require_gpu, driver=driver, python=python or found.python,
        os_name=os_name, accept=accept, as_of=found.as_of.isoformat() if found.as_of else None, backend=backend,
        facts=facts, build=build, prefix=prefix, dry_run=dry_run, output=output, force=force, json=json,
        offline=offline, quiet=quiet,
    )  # fmt: skip


def _facts(own: Texts) -> Any:
    """The database, with the user's own facts over it."""
    from envsolve.config import defaults
    from envsolve.matrices import load

    return load(overlays=own or defaults().get("facts", ()))


def matrix_show(spec: Spec, facts: OwnFacts = None, json: Json = False) -> None:
    """Print what is known of a build, a cap, a GPU, an image, a CUDA release, ..., each fact with its source."""
    from envsolve.matrix_view import show, show_text

    document = show(" ".join(spec), _facts(facts))
    if json:
        emit_json(document)
    else:
        emit(show_text(document))


def matrix_list(kind: Table = None, facts: OwnFacts = None, json: Json = False) -> None:
    """List frameworks, gpus, cuda, cudnn, systems, images, pythons or caps; or a framework's builds."""
    from envsolve.matrix_list import listing, listing_text

    rows = listing(kind, _facts(facts))
    if json:
        emit_json({"schema": "envsolve/list-2", "rows": rows})
    else:
        emit(listing_text(rows))


def matrix_lint(facts: OwnFacts = None, json: Json = False) -> None:
    """Check the database, and facts of your own, for meaning; exit 7 when a rule is broken."""
    from envsolve.lint import lint
    from envsolve.overlay import read_overlay

    findings = lint(None, [read_overlay(path) for path in facts or ()])
    if json:
        emit_json({"schema": "envsolve/lint-1", "findings": [f._asdict() for f in findings]})
    else:
        lines = (f"{f.file}: {f.row}: {f.text} ({f.rule})" for f in findings)
        emit("\n".join(lines) or "the database keeps its rules")
    if findings:
        raise typer.Exit(Exit.BAD_DATABASE)


def matrix_stats(facts: OwnFacts = None, json: Json = False) -> None:
    """Count what the database knows, how it was come by, and what is unknown."""
    from envsolve.matrix_stats import statistics, statistics_text

    stats = statistics(_facts(facts))
    if json:
        emit_json({"schema": "envsolve/stats-1", **stats})
    else:
        emit(statistics_text(stats))


COMMANDS: dict[str, Callable[..., None]] = {
    "solve": solve, "build": build, "smoke": smoke, "run": run_command, "shell": shell, "why": why, "lock": lock,
    "vendor": vendor, "render": render, "doctor": doctor, "scan": scan,
    "matrix show": matrix_show, "matrix list": matrix_list, "matrix lint": matrix_lint,
    "matrix stats": matrix_stats,
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code. No input ends in a traceback."""
    from envsolve.dispatch import LEAVE_AT_ONCE, run

    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # looking for plugins costs a tenth of an answer
    code = run(list(sys.argv[1:] if arguments is None else arguments), COMMANDS, __version__)
    if code in LEAVE_AT_ONCE:
        sys.stderr.flush()
        os._exit(code)  # threads that wait for an index would hold the process until their time is out
    sys.exit(code)
