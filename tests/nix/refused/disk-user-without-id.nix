# error: nix2image: makeDiskImage: contents[0].user is "bob", to which the configuration gives no fixed id; set users.users.bob.uid, or write the number
(import ../../../nix {
  builder = ./disk-user-without-id.nix;
  system = "x86_64-linux";
}).makeDiskImage
  {
    config = import ../configuration.nix "x86_64-linux" { };
    contents = [
      {
        source = ./disk-user-without-id.nix;
        target = "/a";
        user = "bob";
        group = "root";
      }
    ];
    installBootLoader = false;
    copyChannel = false;
  }
