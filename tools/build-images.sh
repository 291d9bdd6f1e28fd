#!/bin/bash
# Builds images: `tools/build-images.sh source-pendo ...` builds source-pendo:dev and source-pendo:latest. A package without
# metadata.yaml is no Airbyte connector; it has a stage of its own name in the Dockerfile.
#
# The base is BASE_IMAGE if it is set, else the public image that the Dockerfile names. If that cannot be pulled, the base is
# made from Debian's packages (tools/base-image.sh). The output names the base. The build itself runs in BUILDER_IMAGE if
# that is set: the same system with a C compiler. Without it, a build that needs the compiler gets it by apt-get.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
    echo "images: $*" >&2
    exit 1
}

# Prints the first docker client with BuildKit: with the buildx plugin, or of the releases 18.09 to 22, which include
# BuildKit. On the PATH a newer client without the plugin can come before an older one.
buildkit_client() {
    local client major
    for client in $(type -ap docker | awk '!seen[$0]++'); do
        major=$("$client" version --format '{{.Client.Version}}' 2>/dev/null | cut -d. -f1)
        if "$client" buildx version >/dev/null 2>&1 || [ "${major:-99}" -lt 23 ]; then
            echo "$client"
            return
        fi
    done
    fail "no docker client with BuildKit (install docker-buildx, or Debian's docker.io)."
}

base_image() {
    local public local_tag
    public=$(sed -n 's/^ARG BASE_IMAGE=//p' Dockerfile)
    local_tag="local/python-slim:${BASE_RELEASE:-trixie}"
    if [ -n "${BASE_IMAGE:-}" ]; then
        echo "$BASE_IMAGE"
    elif docker image inspect "$public" >/dev/null 2>&1 || timeout 300 docker pull --quiet "$public" >/dev/null 2>&1; then
        echo "$public"
    else
        echo "images: $public cannot be pulled here, using a base from Debian's packages" >&2
        docker image inspect "$local_tag" "$local_tag-builder" >/dev/null 2>&1 || tools/base-image.sh "$local_tag" >&2
        echo "$local_tag"
    fi
}

metadata() { # metadata <connector> <field>
    sed -n "s/^ *$2: *[\"']\{0,1\}\([^\"' ]*\).*/\1/p" "$1/metadata.yaml" | head -n 1
}

# Sets `version` and the options that make a package's image.
describe() { # describe <package>
    if [ -f "$1/metadata.yaml" ]; then
        version=$(metadata "$1" dockerImageTag)
        described=(--target connector --build-arg "REPOSITORY=$(metadata "$1" dockerRepository)")
    else
        version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$1/pyproject.toml")
        described=(--target "$1")
    fi
    described+=(--build-arg "PACKAGE=$1" --build-arg "VERSION=${version:-dev}")
}

[ $# -gt 0 ] || fail "name the packages to build images of, such as source-pendo."
docker info >/dev/null 2>&1 || fail "no Docker engine is running (on a machine without an init system: tools/docker-engine.sh start)."
client=$(buildkit_client)
base=$(base_image)
echo "images: base $base"

# made beside the base by tools/base-image.sh
if [[ $base == local/* ]] && docker image inspect "$base-builder" >/dev/null 2>&1; then
    BUILDER_IMAGE=${BUILDER_IMAGE:-$base-builder}
fi

options=(--build-arg "BASE_IMAGE=$base" --build-arg "BUILDER_IMAGE=${BUILDER_IMAGE:-$base}")
for bundle in "${SSL_CERT_FILE:-}" "${PIP_CERT:-}" "${REQUESTS_CA_BUNDLE:-}"; do
    if [ -r "$bundle" ]; then
        options+=(--secret "id=ca,src=$bundle")
        break
    fi
done
for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY; do
    if [ -n "${!name:-}" ]; then options+=(--build-arg "$name"); fi
done

mkdir -p .cache
for package in "$@"; do
    describe "$package"
    log=.cache/image-$package.log
    seconds=$SECONDS
    DOCKER_BUILDKIT=1 "$client" build "${options[@]}" --progress plain "${described[@]}" \
        --tag "$package:dev" --tag "$package:latest" . >"$log" 2>&1 </dev/null || {
        tail -n 40 "$log" >&2
        fail "$package could not be built; the whole log is in $log."
    }
    docker image inspect --format '{{.Size}}' "$package:dev" |
        awk -v name="$package" -v version="$version" -v seconds=$((SECONDS - seconds)) \
            '{printf "images: %s:dev (%s) %.0f MB, built in %d s\n", name, version, $1 / 1e6, seconds}'
done
