#!/usr/bin/env bash
# Starts a real vLLM (installed by install.sh where it is not yet) with one of the two small models, and waits for it.
#
# Prints one line of JSON: {"url": …, "pid": …, "log": …}. The server goes on in the background as a process group of its
# own; stop it with `kill -- -PID`. It serves the model under the name test-model and listens on loopback only.
set -euo pipefail

usage() {
  cat <<'USAGE'
usage: scripts/vllm/serve.sh [options] [-- more arguments of vllm serve]
  --model NAME             smollm2 (real weights, 8K window) or tinyqwen3 (random weights, 131K window; default)
  --port N                 default 8000; 0 takes a free one
  --template NAME          accepting (default), refusing or forgetting: see scripts/vllm/templates
  --tool-parser NAME       default hermes; none for a server without tool calls
  --reasoning-parser NAME  for example qwen3; default none
  --max-num-seqs N         requests that run at the same time, default 16
  --kv-gib N               memory for the KV cache, default 1
  --no-prefix-cache        without prefix caching
  --compile                with torch.compile: a slower start and faster steps
  --wait SECONDS           for the server to be ready, default 400
USAGE
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
model=tinyqwen3 port=8000 template=accepting tool_parser=hermes reasoning_parser=none
max_num_seqs=16 kv_gib=1 wait=400 caching=--enable-prefix-caching eager=(--enforce-eager)

say() { printf 'vllm: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

while [ $# -gt 0 ]; do
  case $1 in
    --model | --port | --template | --tool-parser | --reasoning-parser | --max-num-seqs | --kv-gib | --wait)
      [ $# -ge 2 ] || { usage >&2; exit 2; }
      name=${1#--}
      printf -v "${name//-/_}" %s "$2"
      shift 2
      ;;
    --no-prefix-cache) caching=--no-enable-prefix-caching; shift ;;
    --compile) eager=(); shift ;;
    --help) usage; exit 0 ;;
    --) shift; break ;;
    *) say "unknown option $1"; usage >&2; exit 2 ;;
  esac
done
case $model in smollm2 | tinyqwen3) ;; *) die "there is no model $model; choose smollm2 or tinyqwen3" ;; esac
[ -f "$here/templates/$template.jinja" ] && [ "$template" != body ] || die "there is no template $template; choose accepting, refusing or forgetting"

home=$("$here/install.sh")
python=$home/venv/bin/python
port=$("$python" - "$port" <<'PYTHON'
import socket, sys
with socket.socket() as probe:
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        probe.bind(("127.0.0.1", int(sys.argv[1])))
    except OSError as error:
        sys.exit(f"vllm: port {sys.argv[1]}: {error.strerror}")
    print(probe.getsockname()[1])
PYTHON
)
url=http://127.0.0.1:$port log=$home/logs/serve-$port.log
mkdir -p "$home/home" "$home/logs" "$home/templates"
cat "$here/templates/$template.jinja" "$here/templates/body.jinja" >"$home/templates/$template-$port.jinja"

parsers=()
[ "$tool_parser" = none ] || parsers+=(--enable-auto-tool-choice --tool-call-parser "$tool_parser")
[ "$reasoning_parser" = none ] || parsers+=(--reasoning-parser "$reasoning_parser")

cd "$home"
# A clean environment: no hub, no usage statistics, nothing of the caller's that would change what is tested.
setsid env -i PATH="$home/venv/bin:/usr/local/bin:/usr/bin:/bin" HOME="$home/home" LANG=C.UTF-8 \
  HF_HUB_OFFLINE=1 VLLM_NO_USAGE_STATS=1 DO_NOT_TRACK=1 \
  VLLM_CPU_KVCACHE_SPACE="$kv_gib" VLLM_CPU_OMP_THREADS_BIND="${EVENER_VLLM_CPUS:-auto}" \
  "$home/venv/bin/vllm" serve "$home/models/$model" --served-model-name test-model --host 127.0.0.1 --port "$port" \
  --chat-template "$home/templates/$template-$port.jinja" --max-num-seqs "$max_num_seqs" --scheduling-policy priority \
  --enable-chunked-prefill "$caching" --enable-prompt-tokens-details --enable-request-id-headers \
  "${parsers[@]}" "${eager[@]}" "$@" >"$log" 2>&1 </dev/null &
pid=$!
trap 'kill -- "-$pid" 2>/dev/null || kill "$pid" 2>/dev/null' EXIT
started=$SECONDS
until "$python" -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=2)' "$url/health" 2>/dev/null; do
  kill -0 "$pid" 2>/dev/null || { tail -n 30 "$log" >&2; die "the server ended while it started; its log is $log"; }
  [ $((SECONDS - started)) -lt "$wait" ] || { tail -n 30 "$log" >&2; die "the server was not ready after $wait s; its log is $log"; }
  sleep 0.5
done
trap - EXIT
say "$model on $url after $((SECONDS - started)) s"
printf '{"url": "%s", "pid": %d, "log": "%s"}\n' "$url" "$pid" "$log"
