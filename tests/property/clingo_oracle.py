"""A second opinion on the engine: the same problem as a logic program, solved by clingo (development only)."""

from __future__ import annotations

import clingo

RULES = """
1 { is(V, X) : value(V, X) } 1 :- variable(V).
:- out(V, X), is(V, X).
"""


def program(problem, wishes):
    """Variables, values, rules, wishes and cost levels as facts and constraints."""
    lines = [RULES]
    for v, size in enumerate(problem.sizes):
        lines.append(f"variable({v}). value({v}, 0..{size - 1}).")
    sets = {}

    def named(variable, mask):
        """A name for 'the variable has one of these values', defined once."""
        key = (variable, mask)
        if key not in sets:
            sets[key] = f"s{len(sets)}"
            body = [f"{sets[key]} :- is({variable}, {i})." for i in range(problem.sizes[variable]) if mask >> i & 1]
            lines.extend(body or [f"#external {sets[key]}_never. {sets[key]} :- {sets[key]}_never."])
        return sets[key]

    for rule in problem.rules:
        when = [named(v, mask) for v, mask in rule.when]
        lines.append(f":- {', '.join([*when, 'not ' + named(*rule.then)])}.")
    lines += [f":- not {named(wish.variable, wish.mask)}." for wish in list(wishes)]
    for depth, level in enumerate(problem.levels):
        for v, costs in level.items():
            for i, cost in enumerate(costs):
                if cost:
                    # clingo minimises the highest priority first.
                    lines.append(f":~ is({v}, {i}). [{cost}@{len(problem.levels) - depth}, {depth}, {v}, {i}]")
    return "\n".join(lines)


def optimum(problem, wishes):
    """The cost per level of the best answer, or None when there is none."""
    control = clingo.Control(["--warn=none", "--opt-mode=opt"])
    control.add("base", [], program(problem, wishes))
    control.ground([("base", [])])
    best = None
    with control.solve(yield_=True) as handle:
        for model in handle:
            best = (dict(zip(model.priority, model.cost, strict=True)), model)
    if best is None:
        return None
    costs, _ = best
    depth = len(problem.levels)
    return tuple(costs.get(depth - i, 0) for i in range(depth))
