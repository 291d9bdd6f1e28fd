#!/bin/sh
# Starts and stops a Docker engine on a machine without an init system (a CI runner, a container).
#
#   tools/docker-engine.sh start     does nothing if an engine is running
#   tools/docker-engine.sh stop      stops only an engine that `start` started
#   tools/docker-engine.sh status
#
# It tries the default flags first. If the kernel lacks overlay file systems or packet filtering, it tries other flags. With
# the last set only `--network host` works, because container networks need packet filtering.
set -eu
cd "$(dirname "$0")/.."

state=.cache/docker-engine
pid_file=$state/pid
log=$state/log

answers() { docker info >/dev/null 2>&1; }
alive() { [ -s "$pid_file" ] && kill -0 "$(cat "$pid_file")" 2>/dev/null; }

# Waits until the engine answers. Fails if it ends, or after a minute.
wait_for_answer() {
    tries=0
    while [ "$tries" -lt 120 ]; do
        answers && return 0
        alive || return 1
        tries=$((tries + 1))
        sleep 0.5
    done
    return 1
}

stop() {
    if ! alive; then
        rm -f "$pid_file"
        return 0
    fi
    kill "$(cat "$pid_file")"
    tries=0
    while alive && [ "$tries" -lt 60 ]; do
        tries=$((tries + 1))
        sleep 0.5
    done
    if alive; then kill -9 "$(cat "$pid_file")"; fi
    rm -f "$pid_file"
}

start() {
    if answers; then
        echo "docker-engine: one is already running"
        return 0
    fi
    command -v dockerd >/dev/null || {
        echo "docker-engine: dockerd is not installed (on Debian: apt-get install docker.io)" >&2
        return 1
    }
    [ "$(id -u)" = 0 ] || {
        echo "docker-engine: starting an engine needs root" >&2
        return 1
    }
    mkdir -p "$state"
    for flags in "" "--storage-driver=vfs" "--storage-driver=vfs --iptables=false --bridge=none"; do
        # shellcheck disable=SC2086 # several flags, separated by spaces
        setsid dockerd $flags </dev/null >"$log" 2>&1 &
        echo $! >"$pid_file"
        if wait_for_answer; then
            echo "docker-engine: started (dockerd${flags:+ $flags}), $(docker info --format '{{.ServerVersion}}, {{.Driver}}')"
            return 0
        fi
        stop
    done
    echo "docker-engine: dockerd does not start. The end of its log:" >&2
    tail -n 20 "$log" >&2
    return 1
}

case "${1:-}" in
start) start ;;
stop) stop ;;
status) if answers; then echo running; else echo "not running"; fi ;;
*)
    echo "usage: $0 start|stop|status" >&2
    exit 2
    ;;
esac
