"""The settings of the book's runs and of the commands, in one place; none of it loads torch."""

# beta of the review world's runs, a line each; a loss that is not here has its own default
REVIEW_BETAS = {
    "dpo": 0.6,
    "cdpo": 0.6,
    "robust_dpo": 0.6,
    "hinge": 0.6,
    "exo": 0.6,
    "apo_zero": 0.6,
    "apo_down": 0.6,
    "bco_pair": 0.6,
    "dno": 0.6,
    "soft_dpo": 0.6,
    "r_dpo": 0.6,
    "f_dpo": 0.6,
    "chi_po": 0.05,  # where its exact optimum is about as far away as DPO's at 0.6: 2.8 nats
    "cpo": 0.6,
    "kto": 0.6,
    "bco": 0.6,
    "simpo": 10.0,  # a reply's mean log-probability differs by tenths of a nat
    "ipo": 0.6,  # this and the next two have no beta: a factor for the reward columns
    "orpo": 0.6,
    "sft": 0.6,
}

# as the book's records were made: other ways of computing the same change the last digits
TO_THE_LAST_DIGIT = {"score_all": True, "plain": True, "precision": "no"}

# the settings of the book's runs, in one place: `TrainConfig(**PRESETS["tiny"])`
PRESETS = {
    "tiny": {
        "beta": REVIEW_BETAS,
        "learning_rate": 5e-4,
        "steps": 256,
        "batch_size": 32,
        "warmup": 10,
    }
    | TO_THE_LAST_DIGIT,
    "tiny-sft": {
        "loss": "sft",
        "beta": REVIEW_BETAS | {"sft": 0.1},
        "learning_rate": 3e-3,
        "steps": 12000,
        "batch_size": 64,
        "warmup": 200,
        "decay": "cosine",
        "max_grad_norm": 10.0,
    }
    | TO_THE_LAST_DIGIT,
    "smollm2": {
        "learning_rate": 2e-4,
        "steps": 40,
        "batch_size": 8,
        "accumulation": 2,
        "warmup": 4,
        "lora_rank": 8,
        "max_length": 512,
    },
    "gpt2": {
        "learning_rate": 5e-6,
        "steps": 400,
        "batch_size": 32,
        "accumulation": 4,
        "warmup": 20,
        "max_length": 512,
    },
}
# `dpo feedback`, before a preset that nobody named: a short run at a high learning rate, what a
# laptop does in a quarter of an hour, and groups of responses to each prompt
FEEDBACK, FEEDBACK_GROUPS = {"steps": 12, "learning_rate": 5e-4, "save_every": 4}, 4
