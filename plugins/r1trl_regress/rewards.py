"""The rewards `function_call`, `json_schema` and `first_of`."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import jsonschema

import r1trl
from r1trl_regress.answer import answer_of
from r1trl_regress.bfcl import ANY
from r1trl_regress.calls import calls_in
from r1trl_regress.match import all_match


@r1trl.verifier
def function_call(
    completion: str,
    calls: str | None,
    functions: str | None,
    prompt: Any = "",
    syntax: Literal["python", "java", "javascript"] | None = "python",
) -> float | None:
    """Return 1 if the answer makes the right calls and no other, else 0; None without `calls`.

    `calls` are possible answers, `functions` descriptions, both JSON as in BFCL
    (`r1trl_regress.match` has the rules). '[]': no call is right, and the answer says something;
    '"any"': one or more calls of these functions are. `r1trl_regress.calls` has the forms of calls.
    Thinking that has not ended scores 0.
    """
    if calls is None:
        return None
    described = json.loads(functions or "[]")
    answer, right = answer_of(prompt, completion), json.loads(calls)
    made = calls_in(answer, syntax or "python") if answer else None
    if made is None:
        return 0.0
    if calls == ANY:
        names = {function["name"] for function in described}
        return float(bool(made) and all(call.name in names for call in made))
    return float(all_match(made, right, described, syntax or "python"))


@r1trl.verifier
def json_schema(completion: str, schema: str | None, prompt: Any = "") -> float | None:
    """Return 1 if the answer is JSON that fits the row's schema, else 0; None without a schema.

    `schema` is a JSON Schema as JSON, of the draft that its `$schema` names, or of the latest one.
    A code block around the JSON does no harm; other text scores 0. Raises SchemaError on a schema
    that is none.
    """
    if schema is None:
        return None
    wanted = json.loads(schema)
    validator = jsonschema.validators.validator_for(wanted, default=jsonschema.Draft202012Validator)
    validator.check_schema(wanted)
    try:
        value = json.loads(unfenced(answer_of(prompt, completion)), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return 0.0
    return float(validator(wanted).is_valid(value))


def unfenced(text: str) -> str:
    """Return a text without the code block that it consists of."""
    lines = text.strip().splitlines()
    fenced = len(lines) > 1 and lines[0].startswith("```") and lines[-1].strip() == "```"
    return "\n".join(lines[1:-1]) if fenced else text.strip()


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


class FirstOf:
    """Return the value of the first of the rewards `of` that has one.

    So benchmarks of several kinds, each with a reward that applies to its rows alone (`where:`),
    have one verdict: `metrics: {correct: …}` of an `evaluate` stage. None if none has a value.
    Raises ValueError if the stage has no such reward.
    """

    def __init__(self, *, of: list[str]) -> None:
        self.of = of

    def __call__(
        self,
        prompts: list[str],
        completions: list[str],
        completion_ids: list[list[int]],
        *,
        rewards: Mapping[str, Sequence[float | None]],
        **columns: Any,
    ) -> list[float | None]:
        """Return one value per completion."""
        if missing := [name for name in self.of if name not in rewards]:
            there = ", ".join(rewards)
            raise ValueError(f"of: the stage has no reward '{missing[0]}'; it has: {there}")
        rows = zip(*(rewards[name] for name in self.of), strict=True)
        return [next((value for value in row if value is not None), None) for row in rows]
