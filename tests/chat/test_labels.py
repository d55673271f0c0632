"""What is in the loss of a row, token by token, for many chat templates and shapes of rows.

The expected texts have what is in the loss in brackets; one line is one sample. The tables of
docs/CONVERSATIONS.md are these.
"""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import trl
from label_cases import FIVE, SHAPES, THOUGHT, by_token, marked, table, tokenizer_of

from r1trl.chat.samples import IGNORED
from r1trl.chat.thinking import RowError
from r1trl.data.row_writer import RowWriter

DOCS = Path(__file__).parents[2] / "docs" / "CONVERSATIONS.md"
CHATML = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
GEMMA = "<start_of_turn>user\n{}<end_of_turn>\n<start_of_turn>model\n"
HEADER = "<|start_header_id|>{}<|end_header_id|>\n\n"
LLAMA = HEADER.format("user") + "{}<|eot_id|>" + HEADER.format("assistant")
LLAMA_START = "<|begin_of_text|>" + HEADER.format("system") + "Today is Monday.<|eot_id|>"
THINKS = "<think>\nOne.\n</think>\n\n1"
SPACED = "<think> One. </think> 1"


def turns(ask: str, end: str, start: str = "", after: str = "") -> dict[str, list[str]]:
    """Return the samples of each shape for a template that writes everything as it is."""
    hi, both = start + ask.format("Hi?"), ask.format("And?")
    return {
        "prompt and completion": [f"{hi}⟦{SPACED}{end}⟧"],
        "messages": [f"{hi}⟦{THINKS}{end}⟧{after}{both}⟦{THINKS}{end}⟧"],
        "reasoning beside the content": [f"{hi}⟦{THINKS}{end}⟧"],
        "prompt and completion of messages": [f"{hi}No.{end}{after}{both}⟦{THINKS}{end}⟧"],
    }


def apart(ask: str, end: str, *, start: str, after: str, opened: str, answer: str) -> Any:
    """Return the samples for a template that drops the reasoning of earlier turns."""
    made = turns(ask, end, start, after)
    hi, both = start + ask.format("Hi?"), ask.format("And?")
    inside = THINKS.removeprefix(opened)
    made["prompt and completion"] = [
        f"{hi}{opened}⟦{SPACED if not opened else 'One. </think> 1'}{end}⟧"
    ]
    made["reasoning beside the content"] = [f"{hi}{opened}⟦{inside}{end}⟧"]
    made["messages"] = [
        f"{hi}{opened}⟦{inside}{end}⟧",
        f"{hi}{answer}{end}{after}{both}{opened}⟦{inside}{end}⟧",
    ]
    earlier = f"{hi}No.{end}{after}{both}"
    made["prompt and completion of messages"] = [f"{earlier}{opened}⟦{inside}{end}⟧"]
    return made


R1 = {"start": "<|bos|>", "after": "", "opened": "<think>\n", "answer": "\n\n1"}
EXPECTED: Mapping[str, Mapping[str, list[str]]] = {
    "chatml": turns(CHATML, "<|im_end|>", after="\n"),
    "qwen3": apart(CHATML, "<|im_end|>", start="", after="\n", opened="", answer="1"),
    "r1_distill": apart("<|User|>{}<|Assistant|>", "<|eos|>", **R1),
    "gemma": turns(GEMMA, "<end_of_turn>", "<bos>", "\n"),
    "llama3": turns(LLAMA, "<|eot_id|>", LLAMA_START),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", FIVE)
def test_the_loss_is_on_what_the_assistant_writes(name: str, shape: str) -> None:
    tokenizer = tokenizer_of(name)
    samples = RowWriter(tokenizer).samples(SHAPES[shape])
    told = table(samples, tokenizer)
    assert [marked(sample, tokenizer) for sample in samples] == EXPECTED[name][shape], told
    for sample in samples:
        pairs = zip(sample.input_ids, sample.labels, strict=True)
        assert all(label in (id_, IGNORED) for id_, label in pairs), told


@pytest.mark.parametrize("name", [*FIVE, "mistral", "phi3", "generation", "always_open", "plain"])
def test_a_turn_is_learned_from_the_tokens_that_generation_reads(name: str) -> None:
    tokenizer = tokenizer_of(name)
    messages = SHAPES["messages"]["messages"]
    read = RowWriter(tokenizer).prompt({"prompt": messages[:3]})[1]
    last = RowWriter(tokenizer).samples(SHAPES["messages"])[-1]
    ids = tokenizer(read)["input_ids"]
    assert last.input_ids[: len(ids)] == ids
    assert last.labels[len(ids)] != IGNORED and last.labels[len(ids) - 1] == IGNORED


def bundled() -> list[Path]:
    """Return the chat templates of models of texts that TRL comes with."""
    folder = Path(trl.__file__).parent / "chat_templates"
    of_pictures = ("idefics3", "llava_next", "smolvlm")
    return [
        file for file in sorted(folder.glob("*.jinja")) if not file.stem.startswith(of_pictures)
    ]


@pytest.mark.parametrize("file", bundled(), ids=lambda file: file.stem)
def test_templates_of_many_families_are_learned_as_they_are_read(file: Path) -> None:
    tokenizer = copy.deepcopy(tokenizer_of("llama3"))
    tokenizer.chat_template = file.read_text(encoding="utf-8")
    writer, messages = RowWriter(tokenizer), SHAPES["messages"]["messages"]
    if "nothink" in file.stem:
        with pytest.raises(RowError, match="the prompt ends the thinking"):
            writer.samples(SHAPES["messages"])
        messages = [{**m, "content": m["content"].removeprefix(THOUGHT[:-1])} for m in messages]
    *_, last = writer.samples({"messages": messages})
    read = writer.prompt({"prompt": messages[:3]})[1]
    size = len(tokenizer(read)["input_ids"])
    assert tokenizer.decode(last.input_ids[:size]) == tokenizer.decode(tokenizer(read)["input_ids"])
    target = tokenizer.decode(last.labels[size:])
    assert IGNORED not in last.labels[size:] and "1" in target
    assert target.endswith(">"), "an end token"
    if "nothink" not in file.stem:
        assert target.count("One.") == 1
        assert (read.rpartition("And?")[2] + target).count("<think>") <= 1


def row(*turns: str, **more: Any) -> dict[str, Any]:
    """Return a row of messages; each turn is its role's first letter, a space and its content."""
    roles = {"s": "system", "u": "user", "a": "assistant", "t": "tool"}
    messages = [{"role": roles[turn[0]], "content": turn[2:]} for turn in turns]
    return {"messages": messages, **more}


PLAIN_TURNS = row("s Be.", "u Hi?", "a 1", "u And?", "a 2")
CALL = {"type": "function", "function": {"name": "f", "arguments": '{"a": "x\\"y"}', "none": None}}
CALLED = {
    "messages": [
        {"role": "user", "content": "Hi?", "tool_calls": None},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "content": "3", "tool_calls": None},
        {"role": "assistant", "content": "2", "tool_calls": None},
    ]
}
TOOLS = '[{"type": "function", "function": {"name": "f"}}]'
THINKING = {"chat_template_kwargs": {"thinking": True}}
QWEN_CALL = (
    '<tool_call>{"type": "function", "function": {"name": "f", "arguments": {"a": "x\\"y"}}}'
    "</tool_call><|im_end|>"
)
QWEN_TOOLS = (
    '<|im_start|>system\n# Tools\n[{"type": "function", "function": {"name": "f"}}]<|im_end|>\n'
)
NO_THOUGHT = "<think>\n\n</think>\n\n"
OTHERS: list[tuple[str, dict[str, Any], list[str]]] = [
    # The system prompt goes to the last question: what the first turn read is no longer there.
    (
        "mistral",
        PLAIN_TURNS,
        [
            "<s>[INST] Be.\n\nHi? [/INST]⟦ 1</s>⟧",
            "<s>[INST] Hi? [/INST] 1</s>[INST] Be.\n\nAnd? [/INST]⟦ 2</s>⟧",
        ],
    ),
    ("mistral", SHAPES["reasoning beside the content"], [f"<s>[INST] Hi? [/INST]⟦{THINKS}</s>⟧"]),
    # A second end token after the conversation is not the turn's.
    ("phi3", row("u Hi?", "a 1"), ["<|user|>\nHi?<|end|>\n<|assistant|>\n⟦1<|end|>⟧"]),
    # Without an end token in the template the tokenizer's own ends a turn.
    (
        "plain",
        row("u Hi?", "a 1", "u And?", "a 2"),
        [
            "### user: Hi?\n### assistant: ⟦1<eos>⟧",
            "### user: Hi?\n### assistant: 1\n### user: And?\n### assistant: ⟦2<eos>⟧",
        ],
    ),
    ("generation", row("u Hi?", "a 1"), [CHATML.format("Hi?") + "⟦1<|im_end|>⟧"]),
    # An answer without reasoning, after a prompt that opens it, ends it at once.
    (
        "r1_distill",
        row("u Hi?", "a 1"),
        ["<|bos|><|User|>Hi?<|Assistant|><think>\n⟦\n</think>\n\n1<|eos|>⟧"],
    ),
    (
        "always_open",
        row("u Hi?", "a 1"),
        [CHATML.format("Hi?") + "<think>\n⟦\n</think>\n\n1<|im_end|>⟧"],
    ),
    (
        "always_open",
        SHAPES["reasoning beside the content"],
        [CHATML.format("Hi?") + "<think>\n⟦One.\n</think>\n\n1<|im_end|>⟧"],
    ),
    ("qwen3", row("u Hi?", "a 1"), [CHATML.format("Hi?") + f"⟦{NO_THOUGHT}1<|im_end|>⟧"]),
    (
        "qwen3",
        row("u Hi?", "a 1", chat_template_kwargs='{"enable_thinking": false}'),
        [CHATML.format("Hi?") + f"{NO_THOUGHT}⟦1<|im_end|>⟧"],
    ),
    # A variable opens the thinking, without a newline; tool calls want their arguments as text.
    (
        "deepseek",
        SHAPES["reasoning beside the content"] | THINKING,
        ["<|bos|><|User|>Hi?<|Assistant|><think>⟦One.</think>1<|eos|>⟧"],
    ),
    ("deepseek", row("u Hi?", "a 1"), ["<|bos|><|User|>Hi?<|Assistant|></think>⟦1<|eos|>⟧"]),
    (
        "deepseek",
        CALLED,
        [
            '<|bos|><|User|>Hi?<|Assistant|></think>⟦<|call|>f\n{"a": "x\\"y"}<|end_call|><|eos|>⟧'
            "<|tool|>3<|end_tool|><|Assistant|></think>⟦2<|eos|>⟧"
        ],
    ),
    (
        "qwen3",
        {**CALLED, "tools": TOOLS},
        [
            f"{QWEN_TOOLS}{CHATML.format('Hi?')}⟦{NO_THOUGHT}{QWEN_CALL}⟧",
            f"{QWEN_TOOLS}{CHATML.format('Hi?')}{QWEN_CALL}\n<|im_start|>tool\n3<|im_end|>\n"
            f"<|im_start|>assistant\n⟦{NO_THOUGHT}2<|im_end|>⟧",
        ],
    ),
    # What follows the last answer is not learned, nor read.
    ("chatml", row("u Hi?", "a 1", "u Bye."), [CHATML.format("Hi?") + "⟦1<|im_end|>⟧"]),
    (
        "chatml",
        row("u Hi?", "a 1", system="Be."),
        [f"<|im_start|>system\nBe.<|im_end|>\n{CHATML.format('Hi?')}⟦1<|im_end|>⟧"],
    ),
    # White space that a template strips is no loss, nor are parts of a content that are texts.
    ("gemma", row("u  Hi? ", "a  1\n"), ["<bos>" + GEMMA.format("Hi?") + "⟦1<end_of_turn>⟧"]),
    (
        "chatml",
        {
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "Hi?"}]},
                {"role": "assistant", "content": "1"},
            ]
        },
        [CHATML.format("Hi?") + "⟦1<|im_end|>⟧"],
    ),
    # A completion that has its end token does not get another; one that was cut off gets none.
    (
        "chatml",
        {"prompt": "Hi?", "completion": "1<|im_end|>"},
        [CHATML.format("Hi?") + "⟦1<|im_end|>⟧"],
    ),
    (
        "chatml",
        {"prompt": "Hi?", "completion": "1", "finished": False},
        [CHATML.format("Hi?") + "⟦1⟧"],
    ),
]


@pytest.mark.parametrize(("name", "given", "expected"), OTHERS)
def test_other_templates_and_rows_are_written_as_they_are_read(
    name: str, given: dict[str, Any], expected: list[str]
) -> None:
    tokenizer = tokenizer_of(name)
    samples = RowWriter(tokenizer).samples(given)
    told = table(samples, tokenizer)
    assert [marked(sample, tokenizer) for sample in samples] == expected, told


@pytest.mark.parametrize(
    ("name", "given", "reason"),
    [
        ("gemma", PLAIN_TURNS, "refuses the messages: System role not supported"),
        ("gemma", row("u Hi?", "u Ho?", "a 1"), "Conversation roles must alternate"),
        ("chatml", {**CALLED, "tools": TOOLS}, "leaves out the tool calls of an answer"),
        ("chatml", row("u Hi?", "a 1", tools=TOOLS), "leaves out the tool 'f'"),
        ("mistral", row("u Hi?", "a 1", "t 3", "a 2"), "leaves out the 'tool' message '3'"),
        ("deepseek", SHAPES["messages"], "the prompt ends the thinking before the answer"),
        (
            "qwen3",
            SHAPES["messages"] | {"chat_template_kwargs": {"enable_thinking": False}},
            "switch it on in chat_template_kwargs",
        ),
        ("chatml", row("u Hi?"), "has no answer of the assistant to learn"),
        ("chatml", {"messages": []}, "has neither messages nor prompt and completion"),
        ("chatml", {"messages": [{"role": "assistant", "content": 5}]}, "content that is text"),
        ("chatml", row("u Hi?", "a 1", tools="no list"), "'no list' is no JSON"),
        ("chatml", {"prompt": None, "completion": "1"}, "has neither messages nor prompt"),
    ],
)
def test_what_a_template_would_lose_is_refused(
    name: str, given: dict[str, Any], reason: str
) -> None:
    with pytest.raises(RowError, match=reason):
        RowWriter(tokenizer_of(name)).samples(given)


def test_everything_is_in_the_loss_if_that_is_wanted() -> None:
    writer = RowWriter(tokenizer_of("chatml"))
    [sample] = writer.samples(SHAPES["messages"], everything=True)
    assert sample.labels == sample.input_ids


def test_the_answers_in_a_prompt_are_learned_if_that_is_wanted() -> None:
    tokenizer = tokenizer_of("chatml")
    shape = SHAPES["prompt and completion of messages"]
    [sample] = RowWriter(tokenizer).samples(shape, all_turns=True)
    assert "⟦No.<|im_end|>⟧" in marked(sample, tokenizer)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"prompt": "Hi?", "completion": "1"}, "Q Hi? A:⟦1<|im_end|>⟧"),
        (
            {"prompt": "Hi?", "completion": "One. </think> 1"},
            "Q Hi? A:⟦<think>\nOne. </think> 1<|im_end|>⟧",
        ),
        (row("u Hi?", f"a {THOUGHT}"), f"Q Hi? A:⟦{THOUGHT}<|im_end|>⟧"),
        (SHAPES["reasoning beside the content"], f"Q Hi? A:⟦{THINKS}<|im_end|>⟧"),
    ],
)
def test_a_raw_template_writes_a_question_and_its_answer(
    given: dict[str, Any], expected: str
) -> None:
    tokenizer = tokenizer_of("chatml")
    [sample] = RowWriter(tokenizer, "Q {{ prompt }} A:").samples(given)
    assert marked(sample, tokenizer) == expected


def test_a_raw_template_refuses_a_longer_conversation() -> None:
    writer = RowWriter(tokenizer_of("chatml"), "Q {{ prompt }} A:")
    with pytest.raises(RowError, match="the row has user, assistant, user, assistant; leave templ"):
        writer.samples(SHAPES["messages"])


def test_a_long_conversation_takes_seconds_not_minutes() -> None:
    turns = [f"{'ua'[i % 2]} {'<think>' * 300}" for i in range(20)]
    [sample] = RowWriter(tokenizer_of("chatml")).samples(row(*turns))
    assert len(sample.input_ids) > 3_000


def documented() -> str:
    """Return the tables of docs/CONVERSATIONS.md."""
    text = ""
    for name in FIVE:
        text += f"\n### {name}\n"
        for shape in SHAPES:
            samples = RowWriter(tokenizer_of(name)).samples(SHAPES[shape])
            lines = [by_token(sample, tokenizer_of(name)) for sample in samples]
            text += f"\n{shape}:\n\n```\n" + "\n".join(lines) + "\n```\n"
    return text


def test_the_tables_in_the_docs_are_the_labels_of_today() -> None:
    _, _, tables = DOCS.read_text(encoding="utf-8").partition("<!-- labels -->\n")
    assert tables == documented(), "tests/chat/test_labels.py: documented() has the text"
