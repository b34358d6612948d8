# error: nix2image: makeDiskImage: partitionTableType "efixbootldr" is for boot.loader.systemd-boot.xbootldrMountPoint = "/boot" with boot.loader.efi.efiSysMountPoint = "/efi"; set them, or use "efi"
(import ../../../nix {
  builder = ./disk-systemd-boot-without-xbootldr.nix;
  system = "x86_64-linux";
}).makeDiskImage
  {
    config = import ../configuration.nix "x86_64-linux" {
      boot.loader.systemd-boot.enable = true;
    };
    partitionTableType = "efixbootldr";
    copyChannel = false;
  }
