"""Print what is wrong with matrices/ and exit 7 when anything is: ``python scripts/lint_matrices.py [FOLDER]``.

Runs the rules of ``envsolve matrix lint`` and those that need committed snapshots (snapshot_rules.py).
"""

from __future__ import annotations

import sys
from pathlib import Path

from snapshot_rules import RULES, read_snapshot

from envsolve.data import data_dir
from envsolve.errors import Exit
from envsolve.lint import lint
from envsolve.lint.database import read_database


def main() -> int:
    """Lint the folder given, or the database that ships with envsolve."""
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else data_dir("matrices")
    database, snapshot = read_database(root), read_snapshot()
    findings = [*lint(root), *(finding for rule in RULES for finding in rule(database, snapshot))]
    for finding in findings:
        print(f"{finding.file}: {finding.row}: {finding.text} [{finding.rule}]")
    print(f"{len(findings)} findings", file=sys.stderr)
    return Exit.BAD_DATABASE if findings else Exit.DONE


if __name__ == "__main__":
    sys.exit(main())
