# A disk that boots by UEFI, as qcow2 for QEMU: nixpkgs' module for it, and ours behind it.
{
  nixpkgs,
  nix2image,
  system,
}:
nixpkgs.lib.nixosSystem {
  modules = [
    "${nixpkgs}/nixos/modules/virtualisation/disk-image.nix"
    nix2image.nixosModules.disk-image
    {
      nixpkgs.hostPlatform = system;
      # More arguments for makeDiskImage.
      nix2image.diskImage = {
        additionalSpace = "1G";
        copyChannel = false;
      };
      system.stateVersion = "25.11";
    }
  ];
}
