"""The dataset `requests`: generated requests whose answers the rewards of this package judge.

They are short, so that small models can read them, and mean the same at any scale.
"""

import json
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from datasets import Dataset

Row = dict[str, Any]
NAMES = ("Anna", "Ben", "Clara", "David", "Emma", "Frank")
CITIES = ("Berlin", "Paris", "Tokyo", "Lima", "Oslo", "Cairo")
SUBJECTS = ("cats", "dogs", "rain", "the sun", "tea", "books", "music", "winter")
OPENINGS = ("Tell me about {}.", "What do you know of {}?")
FIELDS: dict[str, tuple[str, dict[str, Any]]] = {
    "name": ("a text", {"type": "string", "minLength": 1}),
    "age": ("a whole number from 0 to 120", {"type": "integer", "minimum": 0, "maximum": 120}),
    "city": ("a text", {"type": "string", "minLength": 1}),
    "married": ("true or false", {"type": "boolean"}),
    "hobbies": ("a list of texts", {"type": "array", "items": {"type": "string"}}),
    "colour": ("red, green or blue", {"enum": ["red", "green", "blue"]}),
}
INSTRUCTIONS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("Use no commas.", "punctuation:no_comma", {}),
    ("Use small letters only.", "change_case:english_lowercase", {}),
    ("Use capital letters only.", "change_case:english_capital", {}),
    (
        "Use fewer than 12 words.",
        "length_constraints:number_words",
        {"num_words": 12, "relation": "less than"},
    ),
    (
        "Write at least 3 sentences.",
        "length_constraints:number_sentences",
        {"num_sentences": 3, "relation": "at least"},
    ),
    ("Use the word good.", "keywords:existence", {"keywords": ["good"]}),
    ("Do not use the word very.", "keywords:forbidden_words", {"forbidden_words": ["very"]}),
    ("Begin with: Well", "startend:start_checker", {"start_phrase": "Well"}),
    ("End with: That is all.", "startend:end_checker", {"end_phrase": "That is all."}),
    (
        "Write exactly 2 bullet points with *.",
        "detectable_format:number_bullet_lists",
        {"num_bullets": 2},
    ),
    ("Put all of it in double quotation marks.", "startend:quotation", {}),
    ("Answer in Chinese.", "language:response_language", {"language": "zh"}),
)


def requests(
    *, kind: Literal["calls", "instructions", "json"], count: int = 128, seed: int = 0
) -> "Dataset":
    """Return requests of a kind, `count` rows, the same ones for the same seed.

    `calls` have the columns functions and calls, for the reward `function_call`; `instructions`
    have instruction_id_list and kwargs; `json` has schema, for `json_schema`. All have prompt and
    domain, which is the kind.
    """
    from datasets import Dataset

    make: dict[str, Callable[[random.Random], Row]] = {
        "calls": _calls,
        "instructions": _instructions,
        "json": _json,
    }
    rng = random.Random(f"requests {kind} {seed}")
    return Dataset.from_list([{**make[kind](rng), "domain": kind} for _ in range(count)])


def _instructions(rng: random.Random) -> Row:
    chosen = rng.sample(INSTRUCTIONS, rng.choice((1, 1, 2)))
    opening = rng.choice(OPENINGS).format(rng.choice(SUBJECTS))
    return {
        "prompt": " ".join([opening, *(text for text, _, _ in chosen)]),
        "instruction_id_list": [name for _, name, _ in chosen],
        "kwargs": json.dumps([arguments for _, _, arguments in chosen]),
    }


def _json(rng: random.Random) -> Row:
    names = rng.sample(list(FIELDS), rng.randint(1, 3))
    asked = ", ".join(f"{name} ({FIELDS[name][0]})" for name in names)
    schema = {
        "type": "object",
        "properties": {name: FIELDS[name][1] for name in names},
        "required": names,
        "additionalProperties": False,
    }
    prompt = f"Make up a person. Answer with JSON alone: an object with {asked}."
    return {"prompt": prompt, "schema": json.dumps(schema)}


def _calls(rng: random.Random) -> Row:
    made = [make(rng) for make in rng.sample((_timer, _weather, _message, _add), 3)]
    functions, asked = [function for function, _, _ in made], rng.choice((0, 1, 1, 2))
    if asked:
        question = " ".join(text for _, text, _ in made[:asked])
    else:
        question = f"Who wrote the book about {rng.choice(SUBJECTS)}?"
    listed = "; ".join(
        f"{f['name']}({', '.join(f['parameters']['properties'])})" for f in functions
    )
    rule = "Answer with the calls alone, such as f(a=1), or in words if none fits."
    return {
        "prompt": f"You can call {listed}. {rule} {question}",
        "functions": json.dumps(functions),
        "calls": json.dumps([call for _, _, call in made[:asked]]),
    }


def _function(name: str, **types: str) -> Row:
    properties = {parameter: {"type": type_} for parameter, type_ in types.items()}
    parameters = {"type": "dict", "properties": properties, "required": list(types)}
    return {"name": name, "parameters": parameters}


def _timer(rng: random.Random) -> tuple[Row, str, Row]:
    minutes = rng.randint(1, 90)
    call = {"set_timer": {"minutes": [minutes]}}
    return _function("set_timer", minutes="integer"), f"Set a timer: {minutes} minutes.", call


def _weather(rng: random.Random) -> tuple[Row, str, Row]:
    city = rng.choice(CITIES)
    call = {"weather": {"city": [city]}}
    return _function("weather", city="string"), f"How is the weather in {city}?", call


def _message(rng: random.Random) -> tuple[Row, str, Row]:
    name = rng.choice(NAMES)
    call = {"send": {"to": [name], "text": ["good morning", "good morning!"]}}
    return _function("send", to="string", text="string"), f"Tell {name}: good morning.", call


def _add(rng: random.Random) -> tuple[Row, str, Row]:
    a, b = rng.randint(1, 20), rng.randint(1, 20)
    call = {"add": {"a": [a], "b": [b]}}
    return _function("add", a="integer", b="integer"), f"Add {a} and {b}.", call
