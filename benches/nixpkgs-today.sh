#!/bin/sh
# The steps of nixpkgs' nixos/lib/make-ext4-fs.nix of 2026: copy the closure, mkfs.ext4 -d
# under faketime and fakeroot, fsck, shrink, leave 16 MiB free.
#
# usage: nixpkgs-today.sh LIST REGISTRATION IMAGE WORK
# LIST names store paths, one a line; WORK is an empty directory for the copy.
set -eu
list=$1 registration=$2 image=$3 root=$4/rootImage
export EXT2FS_NO_MTAB_OK=yes
mebibyte=$((1024 * 1024))

mkdir -p "$root/nix/store"
xargs -I % cp -a --reflink=auto % -t "$root/nix/store/" < "$list"
cp "$registration" "$root/nix-path-registration"

inodes=$(find "$root" | wc -l)
blocks=$(du -s -B 4096 --apparent-size "$root" | awk '{ print int($1 * 1.20) }')
bytes=$((2 * 4096 * inodes + 4096 * blocks))
bytes=$(((bytes + mebibyte - 1) / mebibyte * mebibyte))

truncate -s "$bytes" "$image"
faketime -f '1970-01-01 00:00:01' fakeroot \
  mkfs.ext4 -q -L nixos -U 44444444-4444-4444-8888-888888888888 -d "$root" "$image"
fsck.ext4 -n -f "$image"
resize2fs -M "$image"
with_free=$(dumpe2fs -h "$image" | awk -F: -v free=$((16 * mebibyte)) '
  /^Block count/ { count = $2 }
  /^Block size/ { size = $2 }
  END { print int((count * size + free) / size) }')
resize2fs "$image" "$with_free"
