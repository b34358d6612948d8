#!/bin/busybox sh
# Mounts the disk and starts the system on it, as the initrd of a NixOS does.

/bin/busybox --install -s /bin
export PATH=/bin
mount -t devtmpfs none /dev
mount -t proc none /proc
for module in $MODULES; do
    insmod "/modules/$module.ko"
done
mount -t ext4 /dev/vda /disk
umount /proc
exec switch_root /disk /nix/var/nix/profiles/system/init
