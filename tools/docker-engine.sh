#!/bin/sh
# Starts a Docker engine on a machine without an init system (a CI runner, a container), and stops it again.
#
#   tools/docker-engine.sh start     does nothing where an engine already answers
#   tools/docker-engine.sh stop      ends only an engine that `start` started
#   tools/docker-engine.sh status
#
# The plain engine comes first; where the kernel lacks overlay file systems or packet filtering, plainer ones follow.
# A container network needs the packet filter: with the last set of flags only `--network host` works.
set -eu
cd "$(dirname "$0")/.."

state=.cache/docker-engine
pid_file=$state/pid
log=$state/log

answers() { docker info >/dev/null 2>&1; }
alive() { [ -s "$pid_file" ] && kill -0 "$(cat "$pid_file")" 2>/dev/null; }

# Waits for the engine to answer; gives up when it died or after a minute.
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
        # shellcheck disable=SC2086 # the flags are words
        setsid dockerd $flags </dev/null >"$log" 2>&1 &
        echo $! >"$pid_file"
        if wait_for_answer; then
            echo "docker-engine: started (dockerd${flags:+ $flags}), $(docker info --format '{{.ServerVersion}}, {{.Driver}}')"
            return 0
        fi
        stop
    done
    echo "docker-engine: dockerd does not start; the end of its log:" >&2
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
