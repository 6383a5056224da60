"""``python -m envsolve`` is ``envsolve``."""

from __future__ import annotations

from envsolve.cli import main

if __name__ == "__main__":
    main()
