"""Sizes of published models and of datasets, for plans on a machine that does not have them.

From each model's config.json on the Hub: hidden size, size between, layers, heads, heads of keys
and values, size of a head, vocabulary, tied embeddings.
"""

from typing import Any

Sizes = tuple[str, int, int, int, int, int, int, int, bool]
QWEN, LARGE, LLAMA = 151_936, 152_064, 128_256  # tokens in a vocabulary
SHAPES: dict[str, Sizes] = {
    "HuggingFaceTB/SmolLM2-135M": ("llama", 576, 1536, 30, 9, 3, 64, 49_152, True),
    "Qwen/Qwen2.5-0.5B": ("qwen2", 896, 4864, 24, 14, 2, 64, QWEN, True),
    "Qwen/Qwen2.5-1.5B": ("qwen2", 1536, 8960, 28, 12, 2, 128, QWEN, True),
    "Qwen/Qwen2.5-3B": ("qwen2", 2048, 11008, 36, 16, 2, 128, QWEN, True),
    "Qwen/Qwen2.5-7B": ("qwen2", 3584, 18944, 28, 28, 4, 128, LARGE, False),
    "Qwen/Qwen2.5-14B": ("qwen2", 5120, 13824, 48, 40, 8, 128, LARGE, False),
    "Qwen/Qwen2.5-32B": ("qwen2", 5120, 27648, 64, 40, 8, 128, LARGE, False),
    "Qwen/Qwen2.5-Math-1.5B": ("qwen2", 1536, 8960, 28, 12, 2, 128, QWEN, True),
    "Qwen/Qwen2.5-Math-7B": ("qwen2", 3584, 18944, 28, 28, 4, 128, LARGE, False),
    "Qwen/Qwen3-0.6B-Base": ("qwen3", 1024, 3072, 28, 16, 8, 128, QWEN, True),
    "Qwen/Qwen3-1.7B-Base": ("qwen3", 2048, 6144, 28, 16, 8, 128, QWEN, True),
    "Qwen/Qwen3-4B-Base": ("qwen3", 2560, 9728, 36, 32, 8, 128, QWEN, True),
    "Qwen/Qwen3-8B-Base": ("qwen3", 4096, 12288, 36, 32, 8, 128, QWEN, False),
    "meta-llama/Llama-3.2-1B": ("llama", 2048, 8192, 16, 32, 8, 64, LLAMA, True),
    "meta-llama/Llama-3.2-3B": ("llama", 3072, 8192, 28, 24, 8, 128, LLAMA, True),
    "meta-llama/Llama-3.1-8B": ("llama", 4096, 14336, 32, 32, 8, 128, LLAMA, False),
    "meta-llama/Llama-3.3-70B-Instruct": ("llama", 8192, 28672, 80, 64, 8, 128, LLAMA, False),
}
# Rows by the path, configuration and split of a source.
ROWS: dict[tuple[Any, Any, Any], int] = {
    ("AI-MO/NuminaMath-CoT", None, "train"): 859_494,
    ("DigitalLearningGmbH/MATH-lighteval", "default", "train"): 7_500,
    ("HuggingFaceH4/MATH-500", None, "test"): 500,
    ("HuggingFaceH4/aime_2024", None, "train"): 30,
    ("HuggingFaceH4/ultrafeedback_binarized", None, "train_gen"): 61_135,
    ("HuggingFaceH4/ultrafeedback_binarized", None, "train_prefs"): 61_135,
    ("HuggingFaceTB/smoltalk", "smol-magpie-ultra", "train"): 409_537,
    ("Idavidrein/gpqa", "gpqa_diamond", "train"): 198,
    ("Paul/XSTest", None, "train"): 450,
    ("PKU-Alignment/BeaverTails", None, "330k_train"): 300_567,
    ("Qwen/PolyMath", "zh", "medium"): 125,
    ("google/IFEval", None, "train"): 541,
    ("math-ai/aime25", None, "test"): 30,
    ("open-r1/Mixture-of-Thoughts", "all", "train"): 349_317,
    ("open-r1/OpenR1-Math-220k", "default", "train"): 93_733,
    ("openai/gsm8k", "main", "test"): 1_319,
    ("openai/gsm8k", "main", "train"): 7_473,
    ("zwhe99/DeepMath-103K", None, "train"): 103_022,
}
