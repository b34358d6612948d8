#!/bin/sh
# The steps of nixpkgs' nixos/lib/make-disk-image.nix (2026) for a disk with an ESP, as far as they
# need no VM: copy the closure, guess the size, partition, mkfs.ext4 -d into the partition,
# mkfs.vfat for the ESP, and for a container qemu-img convert. No VM, no fakeroot and no lkl, which
# would make it slower.
#
# usage: nixpkgs-disk.sh LIST REGISTRATION IMAGE WORK FORMAT
# LIST names store paths, one a line; WORK is an empty directory for the copy and the raw disk;
# FORMAT is raw or one of qemu-img's.
set -eu
list=$1 registration=$2 image=$3 root=$4/root raw=$4/raw format=$5
export E2FSPROGS_FAKE_TIME=1 EXT2FS_NO_MTAB_OK=yes
mebibyte=$((1024 * 1024))
esp_start=8 esp_end=256 # MiB

mkdir -p "$root/nix/store"
xargs -I % cp -a --reflink=auto % -t "$root/nix/store/" < "$list"
cp "$registration" "$root/nix-path-registration"

# As there: an inode and a block for each file, a twentieth for metadata, 512 MiB more.
inodes=$(find "$root" | wc -l)
bytes=$(du -s -B 1 --apparent-size "$root" | awk '{ print $1 }')
bytes=$(((bytes + 2 * 4096 * inodes) * 1052 / 1000 + 512 * mebibyte))
mebibytes=$((bytes / mebibyte + esp_end + 2))

truncate -s "${mebibytes}M" "$raw"
parted --script "$raw" -- mklabel gpt mkpart ESP fat32 ${esp_start}MiB ${esp_end}MiB \
  set 1 boot on mkpart primary ext4 ${esp_end}MiB -1MiB
mkfs.ext4 -q -F -L nixos -U 44444444-4444-4444-8888-888888888888 -d "$root" \
  -E offset=$((esp_end * mebibyte)) "$raw" $(((mebibytes - esp_end - 2) * 1024))k
mkfs.vfat -n ESP -F 32 --offset $((esp_start * mebibyte / 512)) "$raw" \
  $(((esp_end - esp_start) * 1024)) > /dev/null
if [ "$format" = raw ]; then
  mv "$raw" "$image"
else
  qemu-img convert -f raw -O "$format" "$raw" "$image"
fi
