# error: nix2image: makeDiskImage: copyChannel makes a channel of nixpkgs' sources: give `pkgs`, or copyChannel = false
(import ../../../nix {
  builder = ./disk-channel-without-pkgs.nix;
  system = "x86_64-linux";
}).makeDiskImage
  {
    config = import ../configuration.nix "x86_64-linux" { };
    installBootLoader = false;
  }
