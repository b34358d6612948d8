#!/bin/busybox sh
# The first process of the initrd of a system: finds the root by what the kernel was told,
# and goes on there.
export PATH=/bin
/bin/busybox --install -s /bin

leave() {
    echo "FAILED: $1"
    poweroff -f
}

mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
for module in $(cat /modules/order); do
    insmod "/modules/$module.ko" || leave "$module"
done
echo "booted with $(cat /proc/cmdline)"
if [ -d /sys/firmware/efi ]; then echo "by UEFI"; else echo "by no UEFI"; fi
for word in $(cat /proc/cmdline); do
    case $word in
    init=*) init=${word#init=} ;;
    root=*) root=${word#root=} ;;
    esac
done
partition=
for _ in 1 2 3 4 5 6 7 8 9 10; do
    partition=$(findfs "$root") && break
    sleep 1
done
[ -n "$partition" ] || leave "no $root"
mount -t ext4 "$partition" /root || leave "mount $partition"
umount /dev /sys /proc
exec switch_root /root "$init"
