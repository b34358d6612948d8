{
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
  # Where nix2image comes from: a name in your flake registry, or put an address here
  # ("github:…", "git+https://…", "path:…").
  inputs.nix2image.url = "flake:nix2image";
  inputs.nix2image.inputs.nixpkgs.follows = "nixpkgs";

  # nix build, and result is the image.
  outputs =
    { nixpkgs, nix2image, ... }:
    {
      # The `lib` is that of the machine that builds; `storePaths` may be of another platform.
      packages.x86_64-linux.default = nix2image.lib.x86_64-linux.makeExt4Fs {
        # These, and all that they refer to.
        storePaths = [ nixpkgs.legacyPackages.x86_64-linux.hello ];
        volumeLabel = "HELLO";
        # Shell commands that put more files into ./files, which is the root of the image.
        populateImageCommands = ''
          mkdir -p files/etc
          cat ${./motd} >files/etc/motd
        '';
      };
    };
}
