#!/bin/sh
# /init of the live system: the usual file systems, the drivers, then a root shell on ttyS0.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=linux
mkdir -p /proc /sys /dev /run /tmp /mnt /root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /run
mount -t tmpfs -o mode=1777 tmpfs /tmp
while read -r module; do
    modprobe "$module" || echo "no module $module"
done </etc/modules
[ -d /sys/firmware/efi/efivars ] && mount -t efivarfs efivarfs /sys/firmware/efi/efivars
mount -t cgroup2 cgroup2 /sys/fs/cgroup
hostname live
cd /root || exit 1
while :; do
    setsid -c sh -c 'echo @live-system-is-up@; exec sh -i' </dev/ttyS0 >/dev/ttyS0 2>&1
done
