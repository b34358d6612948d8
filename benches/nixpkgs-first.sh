#!/bin/bash
# The steps of the first nixos/lib/make-ext4-fs.nix of nixpkgs (2016): mkfs.ext4, then a command
# of debugfs for all that find(1) finds, both under faketime, then fsck.
# They stop at a name with a space: here, such names are left out.
#
# usage: nixpkgs-first.sh LIST REGISTRATION IMAGE WORK
# LIST names store paths, one a line; WORK is an empty directory for the log.
set -euo pipefail
registration=$2 image=$3 log=$4/errorlog
mapfile -t paths < "$1"
faketime=(faketime -f '1970-01-01 00:00:01')

inodes=$(find "${paths[@]}" | wc -l)
blocks=$(du -c -B 4096 --apparent-size "${paths[@]}" |
  awk '$2 == "total" { print int($1 * 1.03) }')
truncate -s $((2 * 4096 * inodes + 4096 * blocks)) "$image"
"${faketime[@]}" mkfs.ext4 -q -L nixos -U 44444444-4444-4444-8888-888888888888 "$image"

commands() {
  echo "write $registration nix-path-registration"
  printf '%s\n' 'mkdir nix' 'cd /nix' 'mkdir store'
  find "${paths[@]}" ! -path '* *' -printf '%y %f %h %m\n' |
    while read -r type name directory mode; do
      echo "cd $directory"
      case $type in
        d)
          echo "mkdir $name"
          echo "sif $name mode $((0040000 | 0$mode))"
          ;;
        f)
          echo "write $directory/$name $name"
          echo "sif $name mode $((0100000 | 0$mode))"
          ;;
        l) echo "symlink $name $(readlink "$directory/$name")" ;;
      esac
      echo "sif $name uid 0"
      echo "sif $name gid 0"
    done
}

# debugfs ends well whatever happens.
faults='Could not allocate|File not found|No such file|Usage:'
commands | "${faketime[@]}" debugfs -w "$image" -f /dev/stdin > "$log" 2>&1
if grep -Eq "$faults" "$log"; then
  echo "debugfs refuses a command: $(grep -Em 1 "$faults" "$log")" >&2
  exit 1
fi
fsck.ext4 -n -f "$image"
