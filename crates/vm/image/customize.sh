#!/bin/sh
# customize.sh ROOT OUT: ROOT is the unpacked system, OUT a directory that holds the agent and takes the image. Runs as root, or
# as root of a user namespace.
set -eu
root=$1 out=$2
install -m 755 "$out/agent.sh" "$root/usr/local/sbin/ravelin-lab-agent"
install -m 644 "$out/agent.service" "$root/etc/systemd/system/ravelin-lab-agent.service"
chroot "$root" systemctl --quiet enable ravelin-lab-agent.service
for unit in $(cat "$out/disabled"); do chroot "$root" systemctl --quiet disable "$unit"; done
for unit in $(cat "$out/masked"); do ln -sf /dev/null "$root/etc/systemd/system/$unit"; done
echo lab >"$root/etc/hostname"
printf '127.0.0.1 localhost lab\n::1 localhost\n' >"$root/etc/hosts"
printf '/dev/vda / ext4 errors=remount-ro 0 1\n' >"$root/etc/fstab"
# The console needs no password: it is reachable only by whoever started QEMU.
chroot "$root" passwd -d root >/dev/null
# Which mode holds is said at each boot by the kernel's command line.
sed -i 's/^SELINUX=.*/SELINUX=permissive/; s/^SELINUXTYPE=.*/SELINUXTYPE=default/' "$root/etc/selinux/config"
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin "$root"/etc/ssh/ssh_host_*
: >"$root/etc/machine-id"
chroot "$root" dpkg-query -W >"$out/packages.txt"
cp "$root"/boot/vmlinuz-* "$out/vmlinuz"
cp "$root"/boot/initrd.img-* "$out/initrd"
size=$(cat "$out/size")
# A second view of the directory, without what is mounted in it for the packages' scripts.
mkdir "$out/view"
unshare --mount sh -c 'mount --bind "$1" "$2/view" && mkfs.ext4 -q -F -L root -E root_owner=0:0,lazy_itable_init=1 -d "$2/view" "$2/disk.img" "$3"' - "$root" "$out" "$size"
rmdir "$out/view"
chmod 644 "$out/vmlinuz" "$out/initrd" "$out/disk.img"
