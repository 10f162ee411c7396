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
