"""Arguments of TRL's configs for plain gradient descent on the CPU, in float32, kept nowhere."""

PLAIN_SGD = {
    "use_cpu": True,
    "bf16": False,
    "report_to": "none",
    "save_strategy": "no",
    "optim": "sgd",
    "learning_rate": 0.1,
    "lr_scheduler_type": "constant",
    "logging_steps": 1,
    "gradient_checkpointing": False,
    "model_init_kwargs": {"dtype": "float32"},
}
