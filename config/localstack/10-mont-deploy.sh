#!/usr/bin/env bash
# LocalStack runs this each time that it has become ready: deploys the service to it with the same
# `mont deploy` that deploys to AWS, asks the result whether it works, and prints where it is. What
# is deployed already stays as it is.
#
# Where anything fails it ends with another status than 0, and health.sh tells Docker.
# Settings of the service become parameters of the stacks (docker-compose.yml hands them on);
# besides:
#
#   S3_PUBLIC_ENDPOINT_URL   LocalStack as clients reach it; S3 and the API are on one port
#   MONT_DOCKER_SOCKET       /dev/null: no Lambda; only bucket and tables, for a standalone server
#   MONT_HOME                where config/localstack/Dockerfile has put the program and the package
#   MONT_STATUS              file that the status goes to
set -euo pipefail

readonly MONT_HOME=${MONT_HOME:-/opt/mont}
readonly MONT=$MONT_HOME/venv/bin/mont
# In a file system that each start of a container finds empty, as LocalStack's stores then are.
readonly MONT_STATUS=${MONT_STATUS:-/dev/shm/mont-deployment}

rm -f "$MONT_STATUS"
trap 'echo "$?" >"$MONT_STATUS"' EXIT

say() { printf 'mont: %s\n' "$*"; }
fail() {
  printf 'mont: DEPLOYMENT FAILED: %s\n' "$*" >&2
  exit 1
}

# Not `localhost`, which can be ::1, where LocalStack does not listen.
[[ ${GATEWAY_LISTEN:-} =~ :([0-9]+)(,|$) ]] || true
readonly INSIDE=http://127.0.0.1:${BASH_REMATCH[1]:-4566}
export S3_PUBLIC_ENDPOINT_URL=${S3_PUBLIC_ENDPOINT_URL:-${INSIDE/127.0.0.1/localhost}}
readonly OUTSIDE=${S3_PUBLIC_ENDPOINT_URL%/}

# Never what came in from a shell: this is to reach the LocalStack around it and nothing else.
export AWS_ENDPOINT_URL=$INSIDE AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test
unset AWS_PROFILE AWS_SESSION_TOKEN

[ -x "$MONT" ] || fail "there is no $MONT"

if [ "${MONT_DOCKER_SOCKET:-}" = /dev/null ]; then
  say "DOCKER_SOCKET is /dev/null, so there is no Lambda: making bucket and tables alone"
  "$MONT" provision || fail "bucket and tables could not be made; the lines above say why"
  exit
fi

say "Deploying to LocalStack; the first time, Lambda's image is downloaded, which takes minutes"
deployed=$("$MONT" deploy --zip "$MONT_HOME/mont-lambda.zip") ||
  fail "the lines above say why. Where functions do not become active, Lambda cannot start" \
    "containers: is the Docker socket mounted (DOCKER_SOCKET)?"

# Through the gateway into a function and from there to both stores: a container of Lambda's may
# start and yet not find its way back to LocalStack.
curl --silent --show-error --fail-with-body --max-time 90 --retry 2 --retry-all-errors \
  --noproxy '*' --output /dev/null "$deployed/readyz" ||
  fail "$deployed/readyz does not answer 200, so the functions do not start or do not reach S3" \
    "and DynamoDB; LocalStack's lines above say which"

cat <<READY

Mont Image Service is deployed to LocalStack.

  API        $OUTSIDE${deployed#"$INSIDE"}
  AWS tools  AWS_ENDPOINT_URL=$OUTSIDE AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test

READY
