"""Libraries in a worker, whose output is a log: without bars, and without talk among developers."""

import logging
import warnings

# Whose code is meant by a warning of DEVELOPERS', rather than a plugin's.
LIBRARIES = (
    *("accelerate", "bitsandbytes", "datasets", "deepspeed", "huggingface_hub", "peft", "torch"),
    *("transformers", "trl", "vllm"),
)
DEVELOPERS = (DeprecationWarning, FutureWarning, PendingDeprecationWarning)
# Of every process on a machine without a GPU, by the beginning; each says itself what it is on.
NO_GPU = "Setting accelerator to CPU"


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
    logging.getLogger("DeepSpeed").addFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith(NO_GPU)
