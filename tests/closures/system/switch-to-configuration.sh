# Records what it saw, for a test to read; fails if /etc/fail is there, and sleeps if
# /etc/sleep is.
shell=@shell@
{
    echo "argument $*"
    echo "system @system@"
    $shell env | $shell sort | $shell sed 's/^/environment /'
    echo "umask $(umask)"
    while read -r _ where kind options _; do
        echo "mount $where $kind $options"
    done < /proc/mounts
    for file in /etc/resolv.conf /etc/hosts /etc/mtab /run/current-system /bin/sh /etc/NIXOS; do
        echo "file $file $($shell readlink $file) $($shell head -c 40 $file 2>/dev/null | $shell head -n 1)"
    done
} > /saw
[ ! -e /etc/fail ] || exit 3
[ ! -e /etc/sleep ] || $shell sleep "$($shell head -n 1 /etc/sleep)"
