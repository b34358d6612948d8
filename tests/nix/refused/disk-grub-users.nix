# error: nix2image: makeDiskImage: boot.loader.grub.users is not written here; leave it to the first nixos-rebuild, or set installBootLoader = false and install one yourself
(import ../../../nix {
  builder = ./disk-grub-users.nix;
  system = "x86_64-linux";
}).makeDiskImage
  {
    config = import ../configuration.nix "x86_64-linux" {
      boot.loader.grub = {
        enable = true;
        device = "/dev/vda";
        users.root.password = "secret";
      };
    };
    copyChannel = false;
  }
