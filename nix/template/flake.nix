{
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
  # Where nix2image is fetched from: a git+https: or github: address, or a path: to a checkout.
  inputs.nix2image.url = "flake:nix2image";
  inputs.nix2image.inputs.nixpkgs.follows = "nixpkgs";

  outputs = { nixpkgs, nix2image, ... }: {
    # nix build .#image && e2fsck -fn result
    packages.x86_64-linux.image = nix2image.lib.x86_64-linux.makeExt4Fs {
      # These and all that they refer to. For a cross-built system, take the packages of the other
      # system here; the `lib` stays that of the machine that builds.
      storePaths = [ nixpkgs.legacyPackages.x86_64-linux.hello ];
      volumeLabel = "HELLO";
      # Files beside the store. Theirs are the modes and owners that you name.
      contents = [ { source = ./motd; target = "/etc/motd"; mode = "0644"; } ];
    };
  };
}
