# As much of a configuration of NixOS as the functions for disks look at: nothing of it is built.
#
#   import ./configuration.nix "x86_64-linux" {
#     boot.loader.systemd-boot.enable = true;
#   }
#
# Attributes of `more` stand in place of those here, whole.
system: more:
let
  stub =
    name:
    derivation {
      inherit name system;
      builder = "/bin/false";
    };
in
{
  system = {
    build.toplevel = stub "nixos-system";
    nixos = {
      version = "26.05.test";
      versionSuffix = ".test";
    };
  };
  systemd.package = stub "systemd";
  environment.binsh = "${stub "shell"}/bin/sh";
  nixpkgs.hostPlatform = {
    inherit system;
  };
  users.users.alice.uid = 1000;
  users.users.bob.uid = null;
  users.groups.users.gid = null;
  ids.uids.nginx = 60;
  ids.gids.users = 100;
}
// more
