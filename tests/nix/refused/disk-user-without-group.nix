# error: nix2image: makeDiskImage: contents[0] has a user and no group; give both, or none
(import ../../../nix {
  builder = ./disk-user-without-group.nix;
  system = "x86_64-linux";
}).makeDiskImage
  {
    config = import ../configuration.nix "x86_64-linux" { };
    contents = [
      {
        source = ./disk-user-without-group.nix;
        target = "/a";
        user = "root";
      }
    ];
    installBootLoader = false;
    copyChannel = false;
  }
