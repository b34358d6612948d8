# error: nix2image: makeDiskImage: contents[0].uid is unknown; allowed are source target mode user group
(import ../../../nix {
  builder = ./disk-contents-with-uid.nix;
  system = "x86_64-linux";
}).makeDiskImage
  {
    config = import ../configuration.nix "x86_64-linux" { };
    contents = [
      {
        source = ./disk-contents-with-uid.nix;
        target = "/a";
        uid = 0;
      }
    ];
    installBootLoader = false;
    copyChannel = false;
  }
