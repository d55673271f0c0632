"""What may be given for the fields that mean the same in several of TRL's configs.

A kind's table, `Kind.fields`, goes before this one.
"""

from collections.abc import Mapping

from r1trl.fields import Field, equal

OWN_LOSS = Field(verdict="refused", reason="reaches nothing: this trainer has a loss of its own")
RENDERED = Field(
    verdict="refused",
    reason="reaches nothing: r1trl renders the prompts before; give the stage a template",
)
VARIABLES = Field(
    verdict="refused",
    reason="reaches nothing: r1trl renders the prompts before; set the stage's own "
    "chat_template_kwargs",
)
_COMPILED_AGAIN = "rows are passed without padding, and a model is compiled for every new length"
NOT_COMPILED: Mapping[str, Field] = {
    "torch_compile": Field(choices=(False,), reason=_COMPILED_AGAIN),
    **dict.fromkeys(
        ("torch_compile_backend", "torch_compile_mode"),  # either switches torch_compile on
        Field(verdict="refused", reason=f"would compile: {_COMPILED_AGAIN}; leave it out"),
    ),
}
PORT = Field(at_least=1, at_most=65535)
CACHES = ("dynamic", "static", "offloaded", "offloaded_static", "quantized")

SHARED_FIELDS: Mapping[str, Field] = {
    # rows
    **equal("truncation_mode pad_token eos_token"),
    "dataset_num_proc": Field(at_least=1),
    "max_length": Field(at_least=1),
    "pad_to_multiple_of": Field(at_least=1),
    # completions
    **equal("generation_kwargs ds3_gather_for_generation log_completions log_unique_prompts"),
    "num_generations": Field(at_least=2, reason="each is compared with the others of its prompt"),
    "max_completion_length": Field(at_least=1),
    "temperature": Field(above=0),
    "top_p": Field(above=0, at_most=1),
    "top_k": Field(at_least=0),  # 0: all tokens
    "min_p": Field(at_least=0, at_most=1),
    "repetition_penalty": Field(above=0),
    "cache_implementation": Field(choices=CACHES),
    "num_completions_to_print": Field(at_least=1),
    # vLLM
    **equal("use_vllm vllm_enable_sleep_mode vllm_structured_outputs_regex"),
    **equal("vllm_server_base_url vllm_server_host"),
    "vllm_mode": Field(choices=("colocate", "server")),
    "vllm_model_impl": Field(choices=("vllm", "transformers", "auto", "terratorch")),
    "vllm_server_port": PORT,
    "vllm_group_port": PORT,
    "vllm_server_timeout": Field(above=0),
    "vllm_gpu_memory_utilization": Field(above=0, at_most=1),
    "vllm_max_model_length": Field(at_least=1),
    "vllm_tensor_parallel_size": Field(at_least=1),
    # the model and the loss
    **equal("disable_dropout activation_offloading sync_ref_model"),
    "router_aux_loss_coef": Field(at_least=0),
    "ref_model_mixup_alpha": Field(above=0, at_most=1),
    "ref_model_sync_steps": Field(at_least=1),
}
