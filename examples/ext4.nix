# An ext4 image of a package, with a file of one's own in it, which has an owner and a mode.
{
  nixpkgs,
  nix2image,
  system,
}:
nix2image.lib.${system}.makeExt4Fs {
  name = "hello.img";
  storePaths = [ nixpkgs.legacyPackages.${system}.hello ];
  volumeLabel = "HELLO";
  contents = [
    {
      source = builtins.toFile "motd" "Made by nix2image.\n";
      target = "/etc/motd";
      mode = "0640";
      uid = 0;
      gid = 100;
    }
  ];
}
