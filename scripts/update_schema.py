"""Write matrices/schema/*.json from the types of envsolve.facts: ``python scripts/update_schema.py [--check]``.

``--check`` writes nothing and exits 3 when a file differs from what the types give.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from envsolve import facts
from envsolve.errors import Exit
from envsolve.facts.tables import FILES, row_types

DIALECT = "https://json-schema.org/draft/2020-12/schema"
FOLDER = Path(__file__).resolve().parents[1] / "matrices" / "schema"


def schemas() -> dict[str, str]:
    """File name -> text, one schema for each kind of file in matrices/."""
    found = {f"{name}.json": _table_file(name, row_types(tables)) for name, tables in FILES.items()}
    found["cap.json"] = _table_file("caps/*", {"caps": facts.Cap})
    found["framework.json"] = {**TypeAdapter(facts.Framework).json_schema(), "$schema": DIALECT}
    found["verified.json"] = {**TypeAdapter(facts.Verified).json_schema(), "$schema": DIALECT}
    return {name: json.dumps(value, indent=1, sort_keys=True) + "\n" for name, value in sorted(found.items())}


def _table_file(name: str, models: dict[str, type[facts.Row]]) -> dict[str, Any]:
    """The schema of a file with an evidence table and one list of rows per key."""
    types: dict[str, Any] = {"evidence": dict[str, facts.Evidence]}
    types |= {key: list[model] for key, model in models.items()}  # type: ignore[valid-type]
    parts = {key: TypeAdapter(type_).json_schema(ref_template="#/$defs/{model}") for key, type_ in types.items()}
    definitions: dict[str, Any] = {}
    for part in parts.values():
        definitions |= part.pop("$defs", {})
    return {
        "$schema": DIALECT,
        "title": f"matrices/{name}.json",
        "type": "object",
        "properties": parts,
        "required": sorted(parts),
        "additionalProperties": False,
        "$defs": definitions,
    }


def main() -> int:
    """Write the schemas, or compare them."""
    stale = [name for name, text in schemas().items() if _read(FOLDER / name) != text]
    if "--check" in sys.argv[1:]:
        for name in stale:
            print(f"matrices/schema/{name} is not what the types give")
        return Exit.OUT_OF_DATE if stale else Exit.DONE
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in stale:
        (FOLDER / name).write_text(schemas()[name])
        print(f"wrote matrices/schema/{name}")
    return Exit.DONE


def _read(path: Path) -> str | None:
    return path.read_text() if path.is_file() else None


if __name__ == "__main__":
    sys.exit(main())
