# Records what it saw, for a test to read; fails if /etc/fail is there.
shell=@shell@
{
    echo "argument $*"
    echo "system @system@"
    $shell env | $shell sort | $shell sed 's/^/environment /'
    while read -r _ where kind options _; do
        echo "mount $where $kind $options"
    done < /proc/mounts
    for file in /etc/resolv.conf /etc/hosts /etc/mtab /run/current-system /bin/sh /etc/NIXOS; do
        echo "file $file $($shell readlink $file) $($shell head -c 40 $file 2>/dev/null | $shell head -n 1)"
    done
} > /saw
[ ! -e /etc/fail ] || exit 3
