"""A stand-in for the unpacked wheel of bfcl-eval: its files, with questions written by hand."""

import json
from pathlib import Path
from typing import Any

from r1trl_regress.bfcl import CATEGORIES


def function(name: str, optional: tuple[str, ...] = (), **types: str) -> dict[str, Any]:
    """Return the description of a function."""
    properties = {parameter: {"type": type_} for parameter, type_ in types.items()}
    required = [parameter for parameter in types if parameter not in optional]
    parameters = {"type": "dict", "properties": properties, "required": required}
    return {"name": name, "description": name, "parameters": parameters}


FUNCTIONS = [
    function("add", a="integer", b="integer"),
    function("shop.order", ("note",), item="string", count="integer", note="string"),
    function("plot", ("style",), points="array", scale="float", style="dict"),
]
ADD = {"add": {"a": [1], "b": [2]}}
ORDER = {"shop.order": {"item": ["green tea", "tea"], "count": [3], "note": ["", "quick"]}}
PLOT = {
    "plot": {
        "points": [[1, 2.5]],
        "scale": [2.0],
        "style": ["", {"line": ["thin"], "dots": ["", 4]}],
    }
}
JAVA = [function("Grid.fill", size="integer", cells="ArrayList", on="boolean", by="any")]
FILL = {"Grid.fill": {"size": [4], "cells": [[1, 2]], "on": [True], "by": ["new Row(1, 2)"]}}
SCRIPT = [function("draw", at="array", with_="dict", then="any")]
DRAW = {"draw": {"at": [[1.5, 2.0]], "with_": [{"ink": ["red"]}], "then": ["nextStep"]}}
ANSWERS: dict[str, list[tuple[list[dict[str, Any]], list[dict[str, Any]]]]] = {
    "simple_python": [(FUNCTIONS[:1], [ADD]), (FUNCTIONS[2:], [PLOT])],
    "simple_java": [(JAVA, [FILL])],
    "simple_javascript": [(SCRIPT, [DRAW])],
    "multiple": [(FUNCTIONS, [ORDER])],
    "parallel": [(FUNCTIONS[:1], [ADD, {"add": {"a": [1, 3], "b": [2, 4]}}])],
    "parallel_multiple": [(FUNCTIONS, [PLOT, ADD, ORDER])],
    "live_simple": [(FUNCTIONS[1:2], [ORDER])],
    "live_multiple": [(FUNCTIONS, [PLOT])],
    "live_parallel": [(FUNCTIONS[1:2], [ORDER, ORDER])],
    "live_parallel_multiple": [(FUNCTIONS, [ORDER, ADD])],
}


def bfcl_folder(folder: Path) -> Path:
    """Write the files of an unpacked wheel; return the folder."""
    data = folder / "bfcl_eval" / "data"
    (data / "possible_answer").mkdir(parents=True)
    for category in CATEGORIES:
        asked, answers = [], []
        for i, (functions, calls) in enumerate(ANSWERS.get(category, [(FUNCTIONS, [])])):
            messages = [[{"role": "user", "content": f"Question {i} of {category}\u2028, please."}]]
            asked.append({"id": f"{category}_{i}", "question": messages, "function": functions})
            answers.append({"id": f"{category}_{i}", "ground_truth": calls})
        name = f"BFCL_v4_{category}.json"
        _write(data / name, asked)
        if category in ANSWERS:
            _write(data / "possible_answer" / name, answers)
    return folder


def _write(file: Path, rows: list[dict[str, Any]]) -> None:
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
