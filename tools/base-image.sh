#!/bin/sh
# Builds the base images for the connectors from Debian's packages, for machines that reach a Debian mirror but no image
# registry. The first one replaces the public python:*-slim image: the same Debian release, with Debian's build of Python.
# The second one, <tag>-builder, has a C compiler as well: the connectors need one, and their builds have no
# mirror to get it from, because these images know none.
#
#   tools/base-image.sh [tag]        default: local/python-slim:<release>
#
# The mirrors come from the apt configuration of this machine. Needs root, debootstrap and a Docker engine. Takes about
# two minutes.
set -eu

RELEASE=${BASE_RELEASE:-trixie}
tag=${1:-local/python-slim:$RELEASE}

fail() {
    echo "base-image: $*" >&2
    exit 1
}

# Prints the mirror of this machine for an archive ("Debian", "Debian-Security").
mirror() {
    # shellcheck disable=SC2016 # apt-get replaces $(REPO_URI)
    apt-get indextargets --format '$(REPO_URI)' "Label: $1" 'Component: main' 'Created-By: Packages' | head -n 1
}

cd "$(dirname "$0")/.."
command -v debootstrap >/dev/null || fail "debootstrap is not installed (apt-get install debootstrap)."
[ "$(id -u)" = 0 ] || fail "debootstrap needs root: sudo make base-image"
docker info >/dev/null 2>&1 || fail "no Docker engine is running."
main=$(mirror Debian)
security=$(mirror Debian-Security)
[ -n "$main" ] || fail "apt on this machine has no Debian mirror. Run apt-get update, or build on a Debian machine."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
root=$work/root

# Runs commands in the new system, with the mirrors, proxy and certificates of this machine.
with_mirrors() { # with_mirrors <commands> <what it means if they fail>
    echo "deb $main $RELEASE main" >"$root/etc/apt/sources.list"
    if [ -n "$security" ]; then
        echo "deb $security $RELEASE-security main" >"$root/etc/apt/sources.list.d/security.list"
    fi
    cp /etc/resolv.conf "$root/etc/"
    apt-config dump | grep -E '^Acquire::(http|https)::' >"$root/etc/apt/apt.conf.d/99machine" || true
    chroot "$root" env DEBIAN_FRONTEND=noninteractive sh -ec "apt-get update -q --error-on=any; $1" </dev/null >"$work/log" 2>&1 || {
        tail -n 20 "$work/log" >&2
        fail "$2"
    }
}

# Imports the system without mirrors, resolver and names of this machine, and without manuals and caches. Copyright notices
# stay.
import_as() { # import_as <tag>
    rm -rf "$root"/etc/apt/sources.list "$root"/etc/apt/sources.list.d/* "$root"/etc/apt/apt.conf.d/99machine \
        "$root"/etc/resolv.conf "$root"/etc/hostname "$root"/var/cache/* "$root"/var/lib/apt/lists/* "$root"/var/log/* \
        "$root"/tmp/* "$root"/usr/share/man "$root"/usr/share/locale "$root"/usr/share/info
    find "$root/usr/share/doc" -type f ! -name copyright -delete
    find "$root/usr/share/doc" \( -xtype l -o -type d -empty \) -delete
    tar -C "$root" --numeric-owner -c . | docker import --change 'ENV LANG=C.UTF-8' --change 'CMD ["python3"]' \
        --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' - "$1" >/dev/null
    echo "base-image: $1 is ready, $(docker image inspect --format '{{.Size}}' "$1" | awk '{printf "%.0f MB", $1 / 1e6}')"
}

echo "base-image: installing Debian $RELEASE with Python"
debootstrap --variant=minbase --include=ca-certificates,netbase,python3,python3-venv,tzdata "$RELEASE" "$root" "$main" \
    >"$work/log" 2>&1 || {
    tail -n 20 "$work/log" >&2
    fail "debootstrap failed."
}
if [ -n "$security" ]; then
    echo "base-image: applying security updates"
    with_mirrors "apt-get dist-upgrade -q -y" "the security updates could not be installed."
fi
import_as "$tag"

echo "base-image: adding a C compiler"
cp tools/compiler.sh "$root/tmp/"
with_mirrors /tmp/compiler.sh "the compiler could not be installed."
import_as "$tag-builder"
