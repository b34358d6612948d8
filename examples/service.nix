# The root of a NixOS with a service, as an ext4 image: for a machine that gets its kernel and
# initrd from outside, as by QEMU's `-kernel`.
{
  nixpkgs,
  nix2image,
  system,
}:
let
  nixos = nixpkgs.lib.nixosSystem {
    modules = [
      {
        nixpkgs.hostPlatform = system;
        boot.loader.grub.enable = false;
        fileSystems."/" = {
          device = "/dev/disk/by-label/nixos";
          fsType = "ext4";
        };
        systemd.services.greeting = {
          wantedBy = [ "multi-user.target" ];
          script = "echo Hello, world!";
        };
        system.stateVersion = "25.11";
      }
    ];
  };
in
nix2image.lib.${system}.makeRootFs {
  system = nixos.config.system.build.toplevel;
  # What it may write before somebody lets it grow.
  freeBytes = 256 * 1024 * 1024;
}
