#!/bin/sh
# An ext4 of store paths by mke2fs -d alone, which takes one directory: a copy, then the image.
#
# usage: copy-and-mke2fs.sh LIST REGISTRATION IMAGE WORK KIBIBYTES INODES
# LIST names store paths, one a line; WORK is an empty directory for the copy.
set -eu
list=$1 image=$3 root=$4/root kibibytes=$5 inodes=$6
export E2FSPROGS_FAKE_TIME=1

mkdir -p "$root/nix/store"
xargs -I % cp -a --reflink=auto % -t "$root/nix/store/" < "$list"
mke2fs -q -F -t ext4 -b 4096 -N "$inodes" -d "$root" "$image" "${kibibytes}k"
