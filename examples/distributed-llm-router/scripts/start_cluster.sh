#!/usr/bin/env bash
# Starts NODES vLLM servers on ports from FIRST_PORT on, one GPU each; ENGINE=simulated needs no GPU. Ctrl-C ends them all.
set -euo pipefail

NODES="${NODES:-3}"
FIRST_PORT="${FIRST_PORT:-8001}"
MODEL="${MODEL_NAME:-mistralai/Mistral-7B-Instruct-v0.3}"
ENGINE="${ENGINE:-vllm}"
FETCHWAY="${FETCHWAY:-fetchway}"

pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true' EXIT INT TERM
for ((node = 0; node < NODES; node++)); do
  port=$((FIRST_PORT + node))
  # Otherwise what listens there already would pass for a node that is up.
  if (exec 3<>"/dev/tcp/localhost/$port") 2>/dev/null; then
    echo "port $port is taken by another program; choose another FIRST_PORT, and VLLM_NODES to match" >&2
    exit 1
  fi
  if [ "$ENGINE" = simulated ]; then
    $FETCHWAY engine --port "$port" --model "$MODEL" &
  else
    CUDA_VISIBLE_DEVICES="$node" vllm serve "$MODEL" --port "$port" ${VLLM_ARGS:-} &
  fi
  pids+=($!)
done

for ((node = 0; node < NODES; node++)); do
  url="http://localhost:$((FIRST_PORT + node))/health"
  until curl --silent --fail --output /dev/null "$url"; do
    for pid in "${pids[@]}"; do kill -0 "$pid" || exit 1; done
    sleep 1
  done
  echo "node $((node + 1)) of $NODES is up: ${url%/health}"
done
wait
