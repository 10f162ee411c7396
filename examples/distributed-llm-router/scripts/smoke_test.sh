#!/usr/bin/env bash
# Asks the router whether it is well, and for one sentence. BASE_URL, AUTH_TOKEN and MODEL say where, by which token and of whom.
set -euo pipefail

exec ${FETCHWAY:-fetchway} smoke "${BASE_URL:-http://localhost:8000}" "$@"
