"""Read facts out of released wheels over HTTP ranges: ``harvest_wheels.py [PACKAGE[==VERSION] ...]``.

What to read and in which order is in ``inputs/harvest.json``; with names, only these, in its order. Records go to
``inputs/records/PACKAGE.jsonl``, each as soon as it is read; a file whose record is there, by SHA-256, is not read
again, so a run that was stopped goes on where it was. The index is that of the user's pip configuration.

One file that cannot be read is one line, and the run goes on. Exit: 0 all read; 2 usage; 5 some files cannot be read,
or with --compare records differ; 4 the index does not answer; 130 stopped.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from harvest.compare import report
from harvest.errors import UnreadableError
from harvest.plan import read_settings
from harvest.run import Options, Run
from harvest.store import Store

from envsolve.errors import EnvsolveError, Exit
from envsolve.lock.index import Index
from envsolve.lock.pipconfig import user_config

INPUTS = Path(__file__).resolve().parent / "inputs"
SOME_FAILED = 5
STOPPED = 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="PACKAGE[==VERSION]", help="default: all of inputs/harvest.json")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--full", action="store_true", help="read every wanted release whole")
    how.add_argument("--cheap", action="store_true", help="read directories and texts only")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="wheels at a time (default 1)")
    parser.add_argument("--limit", type=int, metavar="N", help="stop after N wheels")
    parser.add_argument("--again", action="store_true", help="read files again that have a record")
    parser.add_argument("--list", action="store_true", help="print what would be read, and read nothing")
    parser.add_argument("--compare", type=Path, metavar="FILE", help="compare the records with FILE's; reads no wheel")
    parser.add_argument("--records", type=Path, default=INPUTS / "records", metavar="FOLDER", help=argparse.SUPPRESS)
    return parser


def _compare(store: Store, path: Path) -> int:
    try:
        theirs = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UnreadableError(f"{path} cannot be read: {error}") from error
    rows = theirs["rows"] if isinstance(theirs, dict) else theirs
    ours = {r["sha256"]: r for p in {row["package"] for row in rows} for r in store.of(p).values()}
    lines = report(ours, rows)
    print(*lines, sep="\n")
    return SOME_FAILED if any(": ours " in line for line in lines) else int(Exit.DONE)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, then compare or read."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.jobs < 1 or (options.limit is not None and options.limit < 1):
        parser.error("--jobs and --limit want a number above 0")
    store = Store(options.records)
    index: Index | None = None
    try:
        if options.compare:
            return _compare(store, options.compare)
        settings = read_settings(INPUTS / "harvest.json")
        unknown = {name.partition("==")[0] for name in options.names} - settings.projects.keys()
        if unknown:
            parser.error(f"not in inputs/harvest.json: {', '.join(sorted(unknown))}")
        index = Index(user_config())
        mode = "full" if options.full else "cheap" if options.cheap else "plan"
        run = Run(index, settings, store, Options(mode, options.jobs, options.limit, options.again))
        work = run.plan(options.names)
        if options.list:
            print(
                *(f"{r.project.package}=={r.version} {r.chosen.filename} {r.full or 'cheap'}" for r in work), sep="\n"
            )
            return int(Exit.DONE)
        return SOME_FAILED if run.read(work) else int(Exit.DONE)
    except EnvsolveError as error:
        print(f"error: {error.code}: {error.message}", *(f"hint: {h}" for h in error.hints), sep="\n", file=sys.stderr)
        return int(error.exit_code)
    except UnreadableError as error:
        print(f"error: {error}", file=sys.stderr)
        return int(Exit.BAD_DATABASE)
    except KeyboardInterrupt:
        print("stopped; what was read is kept, the same command goes on", file=sys.stderr)
        return STOPPED
    finally:
        if index is not None:
            index.close()


if __name__ == "__main__":
    sys.exit(main())
