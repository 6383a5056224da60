"""Print what is wrong with matrices/ and exit 7 when anything is: ``python scripts/lint_matrices.py [FOLDER]``."""

from __future__ import annotations

import sys
from pathlib import Path

from envsolve.errors import Exit
from envsolve.lint import lint


def main() -> int:
    """Lint the folder given, or the database that ships with envsolve."""
    findings = lint(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
    for finding in findings:
        print(f"{finding.file}: {finding.row}: {finding.text} [{finding.rule}]")
    print(f"{len(findings)} findings", file=sys.stderr)
    return Exit.BAD_DATABASE if findings else Exit.DONE


if __name__ == "__main__":
    sys.exit(main())
