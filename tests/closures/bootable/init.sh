# The first process of a system that was started from a disk of ours: says what it finds.
shell=@shell@
export PATH=@path@:/bin HOME=/root USER=root
export NIX_CONFIG='build-users-group =
substituters ='

leave() {
    echo "$1"
    # As a shutdown does: the filesystem is clean then.
    mount -o remount,ro / || echo "FAILED: remount"
    poweroff -f
}

# Every command is named on the console; the first that fails is the last.
run() {
    echo "+ $*"
    "$@" || leave "FAILED: $*"
}

# The partition and the filesystem in it, to the end of the disk.
grow() {
    number=${partition##*[a-z]}
    disk=${partition%"$number"}
    if sfdisk --dump "$disk" | grep -q '^label: gpt'; then
        run sfdisk --no-reread --force --relocate gpt-bak-std "$disk"
    fi
    echo ', +' | run sfdisk --no-reread --no-tell-kernel --force -N "$number" "$disk"
    run partx --update --nr "$number" "$disk"
    run resize2fs "$partition"
    echo "the filesystem has $(stat -f -c %b /) blocks of $(stat -f -c %S /)"
}

$shell mkdir -p /bin /proc /dev /tmp /sys
$shell --install -s /bin
run mount -t proc none /proc
run mount -t devtmpfs none /dev
run mount -t tmpfs none /tmp
partition=$(findfs "$(sed 's/.*root=\([^ ]*\).*/\1/' /proc/cmdline)")
echo "root is $partition"
if [ -e /grow ]; then grow; fi
run @verify@
if dmesg -r | grep -E 'EXT4-fs (error|warning)'; then
    leave "FAILED: the kernel complained"
fi
leave "all done"
