# error: nix2image: makeDiskImage: contents[0].group is "wheel", to which the configuration gives no fixed id; set users.groups.wheel.gid, or write the number
(import ../../../nix {
  builder = ./disk-group-without-id.nix;
  system = "x86_64-linux";
}).makeDiskImage
  {
    config = import ../configuration.nix "x86_64-linux" { };
    contents = [
      {
        source = ./disk-group-without-id.nix;
        target = "/a";
        user = "root";
        group = "wheel";
      }
    ];
    installBootLoader = false;
    copyChannel = false;
  }
