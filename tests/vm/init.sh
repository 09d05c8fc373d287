#!/bin/sh
# /init of the live system: the usual file systems, the drivers, then a root shell on ttyS0.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=linux
# No udev here, so device-mapper's tools must make the nodes below /dev/mapper and /dev/VG.
export DM_DISABLE_UDEV=1
mkdir -p /proc /sys /dev /run /tmp /mnt /root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lock
mount -t tmpfs -o mode=1777 tmpfs /tmp
while read -r module; do
    modprobe "$module" || echo "$module"
done </etc/modules >/run/modules-refused
if [ -d /sys/firmware/efi/efivars ]; then
    modprobe efivarfs
    mount -t efivarfs efivarfs /sys/firmware/efi/efivars
fi
mount -t cgroup2 cgroup2 /sys/fs/cgroup
echo live >/proc/sys/kernel/hostname
cd /root || exit 1
while :; do
    setsid -c sh -c 'echo @live-system-is-up@; exec sh -i' </dev/ttyS0 >/dev/ttyS0 2>&1
done
