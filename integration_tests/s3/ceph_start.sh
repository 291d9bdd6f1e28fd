#!/bin/bash
# Starts a temporary S3 server: Ceph's RADOS Gateway with one monitor and one object store in memory, on 127.0.0.1.
#
#   ceph_start.sh FOLDER S3_PORT MONITOR_PORT     returns when the S3 port answers; FOLDER/ceph.conf is the configuration
#   ceph_stop.sh FOLDER                           stops it
#
# Debian: apt-get install --no-install-recommends ceph-mon ceph-osd radosgw ceph-common
# The folder must be new, empty, or from an earlier start. Keep its path short: the sockets of the daemons are in it, and
# the path of a socket can have 107 bytes only.
set -euo pipefail

folder=${1:?folder} s3_port=${2:?S3 port} monitor_port=${3:?monitor port}
export CEPH_CONF=$folder/ceph.conf
keys=$folder/keyring
cluster_id=$(cat /proc/sys/kernel/random/uuid)

if [ -n "$(ls -A "$folder" 2>/dev/null)" ] && [ ! -f "$CEPH_CONF" ]; then
    echo "$folder holds other files: use a new folder" >&2
    exit 1
fi
rm -rf "$folder"
mkdir -p "$folder"/{mon,osd/0,log,run}

# Three settings are necessary. Without tcp_nodelay a small GET takes 44 ms. Without paxos_propose_interval the start takes
# 11 s. With another rgw_s3_auth_order the error codes of the gateway differ from those of AWS.
cat > "$CEPH_CONF" <<CONF
[global]
fsid = $cluster_id
mon_host = [v2:127.0.0.1:$monitor_port/0]
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_ipv6 = false
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
auth_allow_insecure_global_id_reclaim = false
keyring = $keys
run_dir = $folder/run
admin_socket = $folder/run/\$cluster-\$name.asok
pid_file = $folder/run/\$name.pid
crash_dir = $folder/crash
log_file = $folder/log/\$name.log
log_to_stderr = false
err_to_stderr = true
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 8
osd_pool_default_pgp_num = 8
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
mon_warn_on_pool_no_redundancy = false
mon_data_avail_warn = 1
mon_data_avail_crit = 1
mon_client_hunt_interval = 0.5
mon_clock_drift_allowed = 10
paxos_propose_interval = 0.05
paxos_min_wait = 0.01
[mon]
mon_data = $folder/mon/\$id
mon_cluster_log_file = $folder/log/cluster.log
[osd]
osd_data = $folder/osd/\$id
osd_objectstore = memstore
memstore_device_bytes = 4294967296
osd_memory_target = 1073741824
osd_class_load_list = *
osd_class_default_list = *
osd_numa_auto_affinity = false
[client.rgw]
rgw_frontends = beast endpoint=127.0.0.1:$s3_port tcp_nodelay=1
rgw_thread_pool_size = 32
rgw_s3_auth_use_sts = true
rgw_s3_auth_order = local, sts
rgw_sts_key = abcdefghijklmnop
rgw_sts_min_session_duration = 5
rgw_enable_usage_log = false
rgw_run_sync_thread = false
rgw_enable_lc_threads = false
rgw_crypt_require_ssl = false
CONF

# daemon NAME COMMAND...: runs in its own session, so it does not end with this script. FOLDER/NAME.pid has its process id.
daemon() {
    local name=$1
    shift
    setsid "$@" >"$folder/log/$name.out" 2>&1 </dev/null &
    echo $! >"$folder/$name.pid"
}

ceph-authtool --create-keyring "$keys" --gen-key -n mon. --cap mon 'allow *' >/dev/null
ceph-authtool "$keys" --gen-key -n client.admin --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *'
ceph-authtool "$keys" --gen-key -n client.rgw --cap mon 'allow rw' --cap osd 'allow rwx'
ceph-authtool "$keys" --gen-key -n osd.0 --cap mon 'allow profile osd' --cap osd 'allow *'

monmaptool --create --fsid "$cluster_id" --addv a "[v2:127.0.0.1:$monitor_port/0]" "$folder/monmap" >/dev/null
ceph-mon -c "$CEPH_CONF" --mkfs -i a --monmap "$folder/monmap" --keyring "$keys"
daemon mon ceph-mon -c "$CEPH_CONF" -i a -f

osd_id=$(cat /proc/sys/kernel/random/uuid)
ceph -c "$CEPH_CONF" --connect-timeout 20 osd new "$osd_id" >/dev/null
ceph-osd -c "$CEPH_CONF" -i 0 --mkfs --osd-uuid "$osd_id" >"$folder/log/osd-mkfs.out" 2>&1
daemon osd ceph-osd -c "$CEPH_CONF" -i 0 -f
daemon rgw radosgw -c "$CEPH_CONF" -n client.rgw -f

for _ in $(seq 1 600); do
    if (exec 3<>"/dev/tcp/127.0.0.1/$s3_port") 2>/dev/null; then
        exit 0
    fi
    if ! kill -0 "$(cat "$folder/rgw.pid")" 2>/dev/null; then
        echo "the gateway ended while it started:" >&2
        tail -n 20 "$folder"/log/*rgw* >&2
        exit 1
    fi
    sleep 0.1
done
echo "the gateway did not answer on port $s3_port within 60 s" >&2
exit 1
