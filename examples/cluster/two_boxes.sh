#!/usr/bin/env bash
# Ray on two boxes, a run on both, and Ray's end. Typed on the first, in a folder that both have at
# the same path and share, with r1trl in .venv of it:
#   bash two_boxes.sh ADDRESS_OF_THIS_BOX SSH_NAME_OF_THE_OTHER recipe=zero …
set -euo pipefail
first=$1 other=$2
shift 2
ray=$PWD/.venv/bin/ray
on_other() { ssh "$other" "$(printf '%q ' "$@")"; }
trap '"$ray" stop; on_other "$ray" stop' EXIT
"$ray" start --head --node-ip-address="$first" --port=6379
on_other "$ray" start --address="$first:6379"
.venv/bin/r1trl run launch=ray launch.nodes=2 "launch.address=$first:6379" "$@"
