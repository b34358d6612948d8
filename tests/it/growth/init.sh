#!/bin/busybox sh
# The first and only process of a machine whose disk holds an image of ours: grows it
# while it is mounted, as a first boot does, and uses it before and after.

/bin/busybox --install -s /bin
export PATH=/bin

leave() {
    echo "$1"
    reboot -f
}

# Every command is named on the console; the first that fails is the last.
run() {
    echo "+ $*"
    "$@" || leave "FAILED: $*"
}

mount_disk() {
    # The tables of new groups would be zeroed while we look: gigabytes of them.
    run mount -t ext4 -o noinit_itable /dev/vda /disk
    run cd /disk
    run sha256sum -s -c /sums
}

unmount_disk() {
    run cd /
    run umount /disk
}

# Directories in the root spread over all groups, and what is in them with them.
write_files() {
    for directory in a b c d e f g h; do
        run mkdir "$1-$directory"
        run cp large "$1-$directory/large"
        run ln -s large "$1-$directory/link"
        echo "$1 $directory" >"$1-$directory/small"
        sha256sum "$1-$directory/large" "$1-$directory/small" >>/sums
    done
    run rm "$1-a/link"
    run mv "$1-b/link" "$1-a/moved"
}

grow() {
    run resize2fs /dev/vda "$@"
    run stat -f -c "after growth: %S-byte blocks" /disk
}

run mount -t devtmpfs none /dev
run mount -t proc none /proc
for module in $MODULES; do
    run insmod "/modules/$module.ko"
done

mount_disk
grow 64G
write_files first
unmount_disk

mount_disk
grow
write_files second
unmount_disk

mount_disk
unmount_disk
if dmesg -r | grep -E 'EXT4-fs (error|warning)'; then
    leave "FAILED: the kernel complained"
fi
leave "all done"
