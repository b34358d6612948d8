# error: nix2image: makeDiskImage: no boot loader for UEFI is known for riscv64-linux; there are those of aarch64-linux x86_64-linux
(import ../../../nix {
  builder = ./disk-uefi-of-riscv.nix;
  system = "x86_64-linux";
}).makeDiskImage
  {
    config = import ../configuration.nix "riscv64-linux" {
      boot.loader.systemd-boot.enable = true;
    };
    partitionTableType = "efi";
    copyChannel = false;
  }
