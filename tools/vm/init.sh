#!/bin/busybox sh
# The first process of a guest: loads modules, puts a layer that can be written over the host's files, runs one command and ends the machine.
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in /modules/*.ko; do insmod "$module" 2>/dev/null; done

share() { mount -t 9p -o "trans=virtio,version=9p2000.L,msize=512000,$3" "$1" "$2"; }
# layered SHARE PLACE: a layer that can be written over what the host shares
layered() {
  mkdir -p "/lower/$1" "/over/$1/upper" "/over/$1/work" "$2"
  share "$1" "/lower/$1" ro,cache=loose
  mount -t overlay -o "lowerdir=/lower/$1,upperdir=/over/$1/upper,workdir=/over/$1/work" "$1" "$2"
}
mount -t tmpfs over /over
layered root /new

cd /new
mkdir -p proc sys dev tmp run
mount -t proc proc proc
mount -t sysfs sys sys
mount -t devtmpfs dev dev
mkdir -p dev/pts dev/shm run/guest
mount -t devpts devpts dev/pts
mount -t tmpfs shm dev/shm
mount -t tmpfs tmp tmp
mount -t securityfs security sys/kernel/security
mount -t tracefs tracing sys/kernel/tracing
mount -t debugfs debug sys/kernel/debug
mount -t bpf bpf sys/fs/bpf
mount -t cgroup2 cgroup sys/fs/cgroup
share guest run/guest rw,cache=none
layered checkout "/new$(cat run/guest/place)"
[ ! -e proc/sys/net/mptcp/enabled ] || echo 1 > proc/sys/net/mptcp/enabled
ip link set lo up
ulimit -n 65536

chroot /new /bin/sh /run/guest/command </dev/null
echo $? > run/guest/status
sync
poweroff -f
