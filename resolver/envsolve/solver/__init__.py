"""Facts + Request + Host -> Solution: what works on this machine, and why, or why nothing does. Pure."""

from __future__ import annotations

from envsolve.matrices import Facts
from envsolve.models import Host, Request, Solution
from envsolve.solver.question import Question


def solve(request: Request, host: Host, facts: Facts) -> Solution:
    """The best stack for a request on a host, with alternatives; or a conflict with ways out.

    Raises UsageError when the request names an OS or Python that the database does not know.
    """
    return Question(request, host, facts).solution()
