"""What the report shows of a sensitivity."""

from r1trl_variants.rollouts import by_model_and_benchmark
from r1trl_variants.section import section_of
from r1trl_variants.transition import compare

from r1trl.report.files import check_section

FORMS = ("reference", "seed_1", "upper", "lower")
FACTORS = {"reference": "reference", "seed_1": "seed", "upper": "case", "lower": "case"}


def test_a_section_has_the_heat_map_the_effects_and_the_questions_that_flip_most() -> None:
    rows = []
    for variant in FORMS:
        for problem in range(8):
            right = problem < 6 if variant != "upper" else problem < 2
            rows.append(
                {
                    "model": "m",
                    "benchmark": "b",
                    "variant": variant,
                    "problem": problem,
                    "factor": FACTORS[variant],
                    "prompt": f"Question {problem}" if variant == "reference" else "another",
                    "completion": f"{variant} {problem}",
                    "completion_tokens": 3,
                    "finished": True,
                    "rewards/accuracy": float(right),
                    "answer/accuracy": str(right),
                }
            )
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    prompts = by_model_and_benchmark(columns, "accuracy")
    found = {"m": {"b": compare(prompts["m", "b"])}}
    section = section_of(found, prompts, columns)
    check_section(section)
    heat_map, bars, flips = section["parts"]
    cells = {(cell["x"], cell["y"]): cell["value"] for cell in heat_map["heat_map"]}
    assert cells == {
        ("reference", "m, b"): 0,
        ("seed_1", "m, b"): 0,
        ("upper", "m, b"): -50,
        ("lower", "m, b"): 0,
    }
    (bar,) = bars["bars"]
    assert bar["name"] == "case" and bar["value"] == -25 and bar["weak"] is False
    assert bar["low"] < -25 < bar["high"] and bar["interval"].endswith(f" to {bar['high']}")
    head, *questions = flips["table"]
    assert len(questions) == 4 and len(head) == 7
    for question, *best_and_worst in questions:
        number = question.removeprefix("Question ")
        best, rate, _, worst, least, text = best_and_worst
        assert (rate, worst, least, text) == (1, "upper", 0, f"upper {number}") and best != "upper"
