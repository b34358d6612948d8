# error: nix2image: makeDiskImage: boot.loader.systemd-boot.xbootldrMountPoint wants a partition that partitionTableType "efi" has not; use partitionTableType "efixbootldr"
(import ../../../nix {
  builder = ./disk-systemd-boot-xbootldr-on-efi.nix;
  system = "x86_64-linux";
}).makeDiskImage
  {
    config = import ../configuration.nix "x86_64-linux" {
      boot.loader.systemd-boot = {
        enable = true;
        xbootldrMountPoint = "/boot";
      };
    };
    partitionTableType = "efi";
    copyChannel = false;
  }
