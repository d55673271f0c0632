"""Libraries in a worker, whose output is a log: without bars, and without talk among developers."""

import warnings

# Whose code is meant by a warning of DEVELOPERS', rather than a plugin's.
LIBRARIES = (
    *("accelerate", "bitsandbytes", "datasets", "deepspeed", "huggingface_hub", "peft", "torch"),
    *("transformers", "trl", "vllm"),
)
DEVELOPERS = (DeprecationWarning, FutureWarning, PendingDeprecationWarning)


def quiet_libraries() -> None:
    """Turn off progress bars, and warnings of libraries that something in them will be removed.

    It changes their settings, and Python's filter of warnings, for the whole process.
    """
    import datasets
    import transformers

    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()  # the Hub's too
    own = rf"(r1trl|{'|'.join(LIBRARIES)})\b"
    for category in DEVELOPERS:
        warnings.filterwarnings("ignore", category=category, module=own)
