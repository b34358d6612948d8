# error: nix2image: makeDiskImage: boot.loader.systemd-boot.extraInstallCommands are to run where the boot loader is installed, and nothing is run here; use extraFiles and extraEntries, or set installBootLoader = false and install one yourself
(import ../../../nix {
  builder = ./disk-systemd-boot-install-commands.nix;
  system = "x86_64-linux";
}).makeDiskImage
  {
    config = import ../configuration.nix "x86_64-linux" {
      boot.loader.systemd-boot = {
        enable = true;
        extraInstallCommands = "ls /boot";
      };
    };
    partitionTableType = "efi";
    copyChannel = false;
  }
