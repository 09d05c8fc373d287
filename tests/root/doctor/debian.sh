#!/bin/sh
# Makes a real Debian on a real disk: DIR/disk.img, GPT, started by BIOS; room for an ESP.
# DIR/tree.made is a copy of its root, as a directory.
# Runs as root in namespaces of its own; leaves nothing mounted and no loop device.
set -eu
dir=$1
tree=$dir/tree disk=$dir/disk.img
packages=systemd-sysv,udev,dbus,linux-image-amd64,initramfs-tools,grub-pc,openssh-server,sudo,\
e2fsprogs,cryptsetup,lvm2,cron,less,nano,python3,perl,git,procps,iproute2,kmod,fdisk,libpam-systemd

[ -d "$tree" ] || {
    mmdebstrap --quiet --variant=minbase --dpkgopt=force-unsafe-io --include="$packages" bookworm "$dir/fresh"
    mv "$dir/fresh" "$tree"
}

rm -f "$disk"
truncate -s 3G "$disk"
sfdisk -q "$disk" <<END
label: gpt
size=1M, type=21686148-6449-6E6F-744E-656564454649
size=64M, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B
type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709
END
loop=$(losetup --find --show "$disk")
mnt=$(mktemp -d)
clean() {
    umount -R "$mnt" 2>/dev/null || true
    partx --delete "$loop" 2>/dev/null || true
    losetup -d "$loop" 2>/dev/null || true
}
trap clean EXIT
# Not every kernel reads GPT by itself.
[ -e "${loop}p3" ] || partx --add "$loop"
mkfs.ext4 -q -L root "${loop}p3"
root=$(blkid -s UUID -o value "${loop}p3")
mount "${loop}p3" "$mnt"
cp -a --sparse=always "$tree/." "$mnt/"
cat >"$mnt/etc/fstab" <<END
# made by tests/root/doctor/debian.sh
UUID=$root / ext4 errors=remount-ro 0 1
tmpfs /var/tmp/ram tmpfs nofail,size=10% 0 0
END
mkdir -p "$mnt/var/tmp/ram"
echo web03 >"$mnt/etc/hostname"
echo 0123456789abcdef0123456789abcdef >"$mnt/etc/machine-id"
hash='$y$j9T$5NRKy3wlk7vXS8bEzRS7q.$6hmW1lHMsWZVbCyBsMKc0Gm8w5VKzN0iTAGmhvv4Oh5'
sed -i "s|^root:[^:]*:|root:$hash:|" "$mnt/etc/shadow"
for each in dev proc sys; do mount --rbind --make-rslave /$each "$mnt/$each"; done
chroot "$mnt" useradd -m -s /bin/bash -G sudo ann
echo "ann:secret12" | chroot "$mnt" chpasswd
chroot "$mnt" grub-install --target=i386-pc "$loop" >"$dir/log" 2>&1
chroot "$mnt" update-grub >>"$dir/log" 2>&1
# There is no udev that would have told grub-mkconfig.
sed -i "s|root=/dev/[^ ]*|root=UUID=$root|" "$mnt/boot/grub/grub.cfg"
for each in dev proc sys; do umount -R "$mnt/$each"; done
cp -a "$mnt" "$tree.copy"
umount -R "$mnt"
partx --delete "$loop"
losetup -d "$loop"
trap - EXIT
rmdir "$mnt"
rm -rf "$tree"
mv "$tree.copy" "$tree.made"
