#!/bin/sh
# Installs the routers that `npm run bench` compares with into bench/.peers. Run it again at will.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
peers="$here/.peers"
sglang=0.3.2
vllm=0.1.17
smg=1.13.0
python=${PYTHON:-python3}
mkdir -p "$peers"

# One virtual environment for all three: without their test and gRPC-server extras they do not clash.
if [ ! -x "$peers/venv/bin/python" ]; then
  "$python" -m venv "$peers/venv"
fi
bin="$peers/venv/bin"
have() { "$bin/python" -c "import importlib.metadata as m; print(m.version('$1'))" 2>/dev/null || true; }
install() {
  [ "$(have "$1")" = "$2" ] || "$bin/python" -m pip install --quiet --disable-pip-version-check --no-deps "$1==$2"
}
install sglang-router "$sglang"
install vllm-router "$vllm"
install smg "$smg"
# Their launchers import these, although the routers themselves are compiled code.
for package in setproctitle aiohttp orjson uvicorn fastapi requests pyyaml; do
  [ -n "$(have "$package")" ] || "$bin/python" -m pip install --quiet --disable-pip-version-check "$package" 2>/dev/null
done

# nginx: the system's where there is one, else unpacked beside the others (no root needed, nothing is started).
if [ ! -x "$peers/nginx" ]; then
  if system=$(command -v nginx); then
    ln -sf "$system" "$peers/nginx"
  else
    mkdir -p "$peers/deb"
    (
      cd "$peers/deb"
      apt-get download nginx >/dev/null 2>&1 || { apt-get update >/dev/null && apt-get download nginx >/dev/null; }
      dpkg-deb -x nginx_*.deb .
    )
    ln -sf "$peers/deb/usr/sbin/nginx" "$peers/nginx"
  fi
fi

for package in sglang-router vllm-router smg; do echo "$package $(have "$package")"; done
"$peers/nginx" -v 2>&1 | sed 's/^nginx version: //; s,/, ,'
