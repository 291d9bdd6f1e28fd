#!/bin/bash
# Kills the three daemons that `ceph_start.sh FOLDER ...` started, by their process ids. Their data are in memory and
# temporary, so SIGKILL does no harm (after SIGTERM the gateway needs 6 s).
set -u
folder=${1:?folder}

running() {
    local name
    for name in rgw osd mon; do
        kill "$1" "$(cat "$folder/$name.pid" 2>/dev/null)" 2>/dev/null && echo "$name"
    done
}

running -KILL >/dev/null
for _ in $(seq 1 100); do
    [ -z "$(running -0)" ] && exit 0
    sleep 0.05
done
echo "still running: $(running -0)" >&2
exit 1
