"""Writes two tiny reward models with random weights; runs with the engine's Python.

tiny_rewards.py MODEL OUT      MODEL: a folder with a tokenizer and a chat template; OUT: the folder to make
"""

import shutil
import sys
import tempfile
from pathlib import Path

SEED = 7
SHAPE = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "max_position_embeddings": 2048,
    "initializer_range": 0.5,  # wide enough that values differ from text to text
}
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


def write(model: Path, out: Path) -> None:
    """Save `out`/step (two labels a token) and `out`/outcome (one label a text), with the tokenizer of `model`."""
    import torch
    from transformers import AutoConfig, LlamaConfig, LlamaForSequenceClassification, LlamaForTokenClassification

    names = ("vocab_size", "pad_token_id", "bos_token_id", "eos_token_id")
    known = AutoConfig.from_pretrained(model)
    tokens = {name: getattr(known, name) for name in names}
    kinds = {"step": (LlamaForTokenClassification, 2), "outcome": (LlamaForSequenceClassification, 1)}
    for name, (kind, labels) in kinds.items():
        torch.manual_seed(SEED)
        kind(LlamaConfig(**SHAPE, **tokens, num_labels=labels)).float().save_pretrained(out / name)
        for file in TOKENIZER:
            shutil.copy(model / file, out / name / file)


def main() -> None:
    """Write into a new folder and put it in place at once, so that a half-written one is never found."""
    model, out = map(Path, sys.argv[1:])
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as draft:
        write(model, Path(draft) / "made")
        if not out.exists():
            (Path(draft) / "made").rename(out)


if __name__ == "__main__":
    main()
