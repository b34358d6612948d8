# The first process of a booted system: looks at its own store with its own Nix.
shell=@shell@
export PATH=@system@/sw/bin HOME=/root USER=root NIX_PAGER=cat
export NIX_CONFIG='build-users-group =
substituters =
experimental-features = nix-command'

leave() {
    echo "$1"
    # As a shutdown does: the filesystem is clean then.
    $shell mount -o remount,ro / || echo "FAILED: remount"
    $shell poweroff -f
}

# Every command is named on the console; the first that fails is the last.
run() {
    echo "+ $*"
    "$@" || leave "FAILED: $*"
}

run $shell mount -t proc none /proc
run $shell mount -t devtmpfs none /dev
run $shell mount -t tmpfs none /tmp
run $shell grep greeting /run/current-system/greeting
run /bin/sh -c 'echo the shell is there'
run nix-store --verify --check-contents
run nix-env -p /nix/var/nix/profiles/system --list-generations
run nix-store -q --requisites /run/current-system
run nix-env -p /nix/var/nix/profiles/system --set /run/current-system/
run nix-store --gc --print-roots
run nix-collect-garbage
run nix-store --verify --check-contents
leave "all done"
