#!/bin/sh
# Removes from a Debian image with Python what a connector never runs: the package manager, Perl, pip, and programs that
# change users or mounts. Runs as root in the build of the image (see Dockerfile), after the users are created. /bin/sh and
# the core utilities stay, because the platform uses them.
set -eu

stdlib=$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')

# Only installed packages can be purged. Perl is last, because removal scripts of other packages may use it.
for package in python3-venv python3.13-venv python3-pip-whl python3-setuptools-whl \
    apt libapt-pkg7.0 sqv debian-archive-keyring mount bsdutils util-linux login passwd ncurses-bin bash perl-base; do
    if dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q ' installed$'; then
        dpkg --purge --force-depends --force-remove-essential --force-remove-protected "$package" >/tmp/dpkg.log 2>&1 || {
            cat /tmp/dpkg.log
            exit 1
        }
    fi
done
rm -rf /usr/local/lib/python3*/site-packages/pip /usr/local/lib/python3*/site-packages/pip-* /usr/local/bin/pip* \
    "$stdlib/ensurepip" "$stdlib/idlelib" "$stdlib/turtledemo" "$stdlib/tkinter" "$stdlib/pydoc_data" "$stdlib/test" \
    /etc/apt /var/lib/apt /var/cache/* /var/log/* /usr/share/doc-base /usr/share/man
# no program may change its user
find / -xdev -type f -perm /6000 -exec chmod a-s {} +
rm -f /tmp/dpkg.log

# Some images have the standard library without byte code. The user airbyte cannot write it later.
python3 -m compileall -q "$stdlib" || true
