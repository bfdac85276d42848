#!/usr/bin/env bash
# Docker's health check: LocalStack is healthy once 10-mont-deploy.sh has ended well, and answers.
#
# Waits while that is under way, however long it takes: Docker can only count failed checks, so a
# check that says "not yet" would be a guess at how long downloading Lambda's image takes. So what
# waits for LocalStack starts, or gives up, at the moment when it is decided.
set -uo pipefail

readonly MONT_STATUS=${MONT_STATUS:-/dev/shm/mont-deployment}
readonly PATIENCE=90 # seconds without an answer, as while LocalStack starts

[[ ${GATEWAY_LISTEN:-} =~ :([0-9]+)(,|$) ]] || true
readonly ENDPOINT=http://127.0.0.1:${BASH_REMATCH[1]:-4566}

SECONDS=0
while :; do
  # The one path that LocalStack does not log each request for.
  if curl --silent --fail --max-time 4 --noproxy '*' --output /dev/null \
    "$ENDPOINT/_localstack/health"
  then
    SECONDS=0
    # Not while it is being written.
    if status=$(cat "$MONT_STATUS" 2>/dev/null) && [ -n "$status" ]; then
      [ "$status" = 0 ] && exit
      echo "The deployment failed; the log says why: docker compose logs localstack"
      exit 1
    fi
  elif [ "$SECONDS" -ge "$PATIENCE" ]; then
    echo "LocalStack does not answer at $ENDPOINT"
    exit 1
  fi
  sleep 1
done
