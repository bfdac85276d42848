#!/usr/bin/env bash
# Builds config/Dockerfile and config/localstack/Dockerfile and runs what they say, on a machine
# without a Docker engine.
#
# buildah's chroot isolation runs the steps and needs neither a daemon nor a registry; the base is
# the Debian release of the real one, made by mmdebstrap, with Debian's Python of the same version.
# Then the image's own command, user and health check run in the image's file system, read-only,
# against an embedded backend outside of it. Of LocalStack's image, which has the same Python, all
# is built that we add to it; LocalStack itself is not in it then. As root on Debian 12 or newer; DEBIAN_MIRROR names
# another mirror. Leaves nothing behind. Ends with 0 where the tools cannot be installed.
set -euo pipefail
cd "$(dirname "$0")/../.."

readonly SUITE=trixie MIRROR=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
readonly BASE=localhost/mont-base:$SUITE IMAGE=localhost/mont-image-service:try
readonly LOCALSTACK=localhost/mont-localstack:try
WORK=$(mktemp -d /tmp/mont-image.XXXXXX)
readonly WORK
backend='' server=''

say() { printf '== %s\n' "$*"; }
fail() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }
skip() { printf 'SKIPPED: the image was not tried: %s\n' "$*"; exit 0; }
# end SIGNAL PROCESS: its status once it is gone.
end() {
  kill -s "$1" "$2" 2>/dev/null || true
  wait "$2" 2>/dev/null
}

image_tool() {
  timeout 400 buildah --root "$WORK/storage" --runroot "$WORK/run" --storage-driver vfs "$@"
}

clean_up() {
  local status=$?
  for process in $server $backend; do
    end KILL "$process" || true
  done
  if [ -d "$WORK/storage" ]; then
    image_tool umount --all >/dev/null 2>&1 || true
    image_tool rm --all >/dev/null 2>&1 || true
  fi
  rm -rf --one-file-system "$WORK"
  exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

install_tools() {
  local missing=()
  for tool in buildah mmdebstrap; do
    command -v "$tool" >/dev/null || missing+=("$tool")
  done
  [ "$EUID" = 0 ] || skip "it needs root, for ${missing[*]:-chroot}"
  [ ${#missing[@]} = 0 ] && return
  command -v apt-get >/dev/null || skip "no apt-get to install ${missing[*]} with"
  say "Installing ${missing[*]}"
  # --no-install-recommends: a container runtime and its network are not needed here.
  if ! { timeout 120 apt-get -qq update &&
    DEBIAN_FRONTEND=noninteractive timeout 180 apt-get -qq -o DPkg::Lock::Timeout=60 install --yes \
      --no-install-recommends "${missing[@]}"; } >"$WORK/apt.log" 2>&1; then
    tail -5 "$WORK/apt.log"
    skip "apt-get could not install ${missing[*]}"
  fi
}

# What reaches the package index from here has to reach it from inside. Only for the build, and
# mounted rather than copied: none of it may end up in the image. Paths of this machine are left
# out, since they lead nowhere there.
write_pip_configuration() {
  python3 - "$1" <<'PYTHON'
import configparser
import os
import pathlib
import sys

OPTIONS = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "retries")
home = pathlib.Path(os.environ.get("XDG_CONFIG_HOME") or pathlib.Path.home() / ".config")
found = configparser.RawConfigParser(strict=False)
found.read(["/etc/xdg/pip/pip.conf", "/etc/pip.conf", home / "pip/pip.conf"])
options = dict(found["global"]) if found.has_section("global") else {}
options |= {
    name.removeprefix("PIP_").replace("_", "-").lower(): value
    for name, value in os.environ.items()
    if name.startswith("PIP_")
}
options["timeout"] = options.get("default-timeout", options.get("timeout", "60"))
kept = configparser.RawConfigParser()
kept["global"] = {"cert": "/etc/ssl/certs/ca-certificates.crt"}
for name in OPTIONS:
    words = [word for word in options.get(name, "").split() if not word.startswith("file:")]
    if words:
        kept["global"][name] = " ".join(words)
with open(sys.argv[1], "w") as file:
    kept.write(file)
PYTHON
}

make_base() {
  say "Making a base image of Debian $SUITE with its Python"
  # Nothing from this machine goes in: what is not Debian's own would not be in the real base.
  timeout 240 mmdebstrap --quiet --variant=minbase \
    --include=python3,python3-venv,python-is-python3,ca-certificates \
    "$SUITE" "$WORK/base.tar" "$MIRROR" >"$WORK/debian.log" 2>&1 ||
    { tail -20 "$WORK/debian.log"; fail "Debian's $SUITE could not be installed from $MIRROR"; }
  local container
  container=$(image_tool from scratch)
  image_tool add --quiet "$container" "$WORK/base.tar" / >/dev/null
  image_tool config --cmd '["python"]' "$container"
  image_tool commit --quiet --rm "$container" "$BASE" >/dev/null
  rm "$WORK/base.tar"
}

# build DOCKERFILE IMAGE
build() {
  say "Building $1"
  (umask 077 && write_pip_configuration "$WORK/pip.conf")
  # The Docker format, since OCI's has no health check.
  image_tool bud --isolation chroot --format docker --pull-never --build-arg "BASE=$BASE" \
    --volume "$WORK/pip.conf:/etc/pip.conf:ro" --volume /etc/ssl/certs:/etc/ssl/certs:ro \
    --file "$1" --tag "$2" . >"$WORK/build.log" 2>&1 ||
    { tail -40 "$WORK/build.log"; fail "the steps of $1 do not build"; }
  rm "$WORK/pip.conf"
}

# The image's configuration as bash arrays: COMMAND, HEALTH, VARIABLES; and OWNER, HOME_FOLDER.
read_configuration() {
  image_tool inspect --type image "$IMAGE" >"$WORK/image.json"
  python3 - "$WORK/image.json" >"$WORK/configuration.sh" <<'PYTHON'
import json
import shlex
import sys

with open(sys.argv[1]) as file:
    config = json.load(file)["Docker"]["config"]
form, *health = config["Healthcheck"]["Test"]
if form != "CMD":
    sys.exit("the health check is not in exec form")
print(f"COMMAND=({shlex.join(config['Cmd'])})")
print(f"HEALTH=({shlex.join(health)})")
print(f"VARIABLES=({shlex.join(config['Env'])})")
print(f"OWNER={shlex.quote(config['User'])}")
print(f"HOME_FOLDER={shlex.quote(config['WorkingDir'])}")
PYTHON
  # shellcheck source=/dev/null
  . "$WORK/configuration.sh"
}

# inside COMMAND...: as the image's user, with its variables alone, where nothing can be written.
# Every step is an exec, so that a signal for this process reaches the command itself.
# shellcheck disable=SC2016 # the inner shell is the one to expand its text
inside() {
  exec unshare --mount --propagation private -- sh -euc '
    root=$1 owner=$2; shift 2
    mount --bind "$root" "$root"
    mount -t proc proc "$root/proc"
    mount --bind /dev "$root/dev"
    mount -o remount,bind,ro "$root"
    exec chroot --userspec="$owner" "$root" env -i "$@"
  ' sh "$ROOT" "$OWNER" "${VARIABLES[@]}" "HOME=$HOME_FOLDER" "${EXTRA[@]}" "$@"
}

check_contents() {
  say "What is in it: $(du -sh "$ROOT/venv" | cut -f1) in /venv, $(du -sh "$ROOT" | cut -f1) with the base"
  [[ $OWNER =~ ^[1-9][0-9]*:[1-9][0-9]*$ ]] || fail "it runs as '$OWNER', not as a numbered user"
  local found
  found=$(find "$ROOT/venv" \( -name 'pip' -o -name 'setuptools' -o -name 'wheel' -o -name moto \
    -o -name 'pip3*' \) -print)
  [ -z "$found" ] || fail "left in /venv: $found"
  found=$(find "$ROOT"/{usr/bin,usr/local/bin,venv/bin} -name 'gcc*' -o -name 'cc' -o -name make)
  [ -z "$found" ] || fail "build tools left: $found"
  [ ! -e "$ROOT/build" ] || fail "the builder's folder is in the image"
  found=$(find "$ROOT/venv" ! -user 0 -print -o -perm /022 ! -type l -print)
  [ -z "$found" ] || fail "the image's user could change: $found"
  # Each module next to its compiled form.
  local sources compiled
  sources=$(find "$ROOT/venv/lib" -name '*.py' | wc -l)
  compiled=$(find "$ROOT/venv/lib" -name '*.pyc' | wc -l)
  if [ "$sources" -lt 100 ] || [ "$sources" != "$compiled" ]; then
    fail "$sources modules, but $compiled compiled ones"
  fi
  ! grep -qsE '^' "$ROOT/etc/pip.conf" || fail "this machine's pip configuration is in the image"
  say "No pip, no build tools, nothing its user $OWNER can change, $compiled modules compiled"
}

start_backend() {
  .venv/bin/python -c 'import moto, service' 2>/dev/null || make --silent .venv/.installed-run
  # Its standard input stays open until this script ends; it ends with it.
  coproc BACKEND { exec .venv/bin/python -m service.embedded.child; }
  backend=$BACKEND_PID
  local word port
  read -r -t 60 word port <&"${BACKEND[0]}" || fail "the embedded backend does not start"
  [ "$word" = ready ] || fail "the embedded backend says $word"
  ENDPOINT=http://127.0.0.1:$port
}

run_service() {
  start_backend
  EXTRA=("AWS_ENDPOINT_URL=$ENDPOINT" HOST=127.0.0.1 PORT=0)

  ! (inside touch "$HOME_FOLDER/file") 2>/dev/null || fail "the file system can be written to"
  say "mont provision"
  (inside timeout 60 mont provision) || fail "mont provision"
  [ "$(inside timeout 60 mont provision)" = "Nothing to change." ] ||
    fail "mont provision changes something the second time"

  say "${COMMAND[*]} as $OWNER on a read-only file system"
  : >"$WORK/server.log" # there before the server starts, since it is read at once
  (inside "${COMMAND[@]}") >"$WORK/server.log" 2>&1 &
  server=$!
  local address='' tries=0
  until address=$(sed -nE 's#^ *Page +(http://[^ ]+)/$#\1#p' "$WORK/server.log") && [ "$address" ]
  do
    if ! kill -0 "$server" 2>/dev/null || [ $((tries += 1)) -gt 300 ]; then
      cat "$WORK/server.log"
      fail "it does not start"
    fi
    sleep 0.1
  done
  grep "^Uid:" "/proc/$server/status" | grep -qw "${OWNER%:*}" || fail "it does not run as $OWNER"

  EXTRA+=("PORT=${address##*:}")
  (inside timeout 10 "${HEALTH[@]}") || fail "the health check refuses a healthy service"
  local page
  for page in /readyz / /docs /openapi.json; do
    python3 -c 'import sys, urllib.request as r
with r.build_opener(r.ProxyHandler({})).open(sys.argv[1], timeout=10) as answer:
    print("GET", sys.argv[1], answer.status, len(answer.read()), "bytes")' "$address$page" ||
      fail "GET $page"
  done

  # Without its stores the service is alive, yet not ready; that is what the check is for. That it
  # was ready holds for a second.
  end KILL "$backend" || true
  backend=''
  local tries=0
  while (inside timeout 20 "${HEALTH[@]}"); do
    tries=$((tries + 1))
    [ "$tries" -lt 20 ] || fail "the health check passes without the stores"
    sleep 0.2
  done
  say "Health check: 0 with its stores, not 0 without"

  local status=0
  end TERM "$server" || status=$?
  server=''
  [ "$status" = 0 ] || { cat "$WORK/server.log"; fail "SIGTERM: it ended with $status"; }
  say "SIGTERM: ended with status 0"
}

# What is there once LocalStack's image is built: the program that its hook calls, the package for
# this processor with its bytecode, and scripts that can be run.
check_localstack() {
  local container root script
  container=$(image_tool from --pull-never "$LOCALSTACK")
  root=$(image_tool mount "$container")
  chroot "$root" /opt/mont/venv/bin/mont deploy --help | grep -e --zip >/dev/null ||
    fail "mont deploy does not run in LocalStack's image"
  python3 - "$root/opt/mont/mont-lambda.zip" "$(uname -m)" <<'PYTHON' || fail "Lambda's package"
import sys
import zipfile

with zipfile.ZipFile(sys.argv[1]) as package:
    names = package.namelist()
assert "lambda_bridge/handler.py" in names
assert "lambda_bridge/__pycache__/handler.cpython-313.pyc" in names, "it is not compiled"
machines = {name.partition(".cpython-")[2] for name in names if name.endswith("-gnu.so")}
assert machines == {f"313-{sys.argv[2]}-linux-gnu.so"}, machines
print(f"== LocalStack's image: mont deploy runs, {len(names)} files in Lambda's package")
PYTHON
  for script in /opt/mont/health.sh /etc/localstack/init/ready.d/10-mont-deploy.sh; do
    [ -x "$root$script" ] || fail "$script cannot be run"
  done
  [ -z "$(find "$root/opt/mont/venv/lib" -maxdepth 3 -name pip)" ] || fail "pip is left in it"
  [ ! -e "$root/build" ] || fail "the builder's folder is in LocalStack's image"

  # The hook as it is, with nobody at its address: it gets as far as calling, and says what failed.
  local status=0
  chroot "$root" env GATEWAY_LISTEN=127.0.0.1:1 MONT_STATUS=/tmp/status \
    /etc/localstack/init/ready.d/10-mont-deploy.sh >"$WORK/hook.log" 2>&1 || status=$?
  if [ "$status" = 0 ] || [ "$(cat "$root/tmp/status")" != "$status" ] ||
    ! grep "DEPLOYMENT FAILED" "$WORK/hook.log" >/dev/null; then
    cat "$WORK/hook.log"
    fail "the hook ends with $status where there is no LocalStack"
  fi
  say "Its hook, without a LocalStack: $(grep -m 1 '^Error' "$WORK/hook.log")"
}

install_tools
make_base
build config/Dockerfile "$IMAGE"
read_configuration
CONTAINER=$(image_tool from --pull-never "$IMAGE")
ROOT=$(image_tool mount "$CONTAINER")
check_contents
run_service
build config/localstack/Dockerfile "$LOCALSTACK"
check_localstack
say "Both images build, and config/Dockerfile's serves ($SECONDS s)"
