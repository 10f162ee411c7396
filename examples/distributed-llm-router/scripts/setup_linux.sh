#!/usr/bin/env bash
# Looks for what the other scripts need, and makes gateway/.env where there is none. Nothing is installed.
set -euo pipefail
cd "$(dirname "$0")/.."

missing=0
for program in "${FETCHWAY:-fetchway}" curl; do
  # A command may have arguments.
  command -v ${program%% *} >/dev/null || { echo "there is no ${program%% *}" >&2; missing=1; }
done
command -v vllm >/dev/null || echo 'there is no vllm: ENGINE=simulated ./scripts/start_cluster.sh needs none'
if [ ! -f gateway/.env ]; then
  mkdir -p gateway
  printf '%s\n' 'VLLM_NODES=http://localhost:8001,http://localhost:8002,http://localhost:8003' 'AUTH_TOKEN=your-secret-token-here' >gateway/.env
fi
exit "$missing"
