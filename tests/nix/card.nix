# A real SD image on the stand-in nixpkgs, of everything that a call can ask for: `image` wants the
# static binary as `builder`.
{
  # path or string: the static binary.
  builder,
  # string: the build platform.
  system ? "x86_64-linux",
  # string: a static busybox by that name, the shell of the stand-in.
  busybox ? "/usr/bin/busybox",
  # attribute set: more arguments for makeSdImage.
  arguments ? { },
}:
let
  pkgs = import ./nixpkgs { inherit system busybox; };
  inherit (import ../../nix { inherit builder system pkgs; }) makeSdImage;

  package = builtins.path {
    name = "package";
    path = ./package;
  };
  # Stands in for a system, and refers to something.
  toplevel = builtins.toFile "nixos-system" "${package}/bin/program\n";
in
{
  inherit toplevel;
  image = makeSdImage (
    {
      system = toplevel;
      imageName = "card.img";
      populateFirmwareCommands = ''
        mkdir firmware/overlays
        # As nixpkgs' own card for the Raspberry Pi has it.
        (cd / && echo arm_64bit=1 >$NIX_BUILD_TOP/firmware/config.txt)
        ln -s ../config.txt firmware/overlays/link.txt
      '';
      populateRootCommands = ''
        mkdir -p files/boot/extlinux
        echo DEFAULT nixos >files/boot/extlinux/extlinux.conf
      '';
      firmwareContents = [
        {
          source = "${package}/bin/program";
          target = "/a long name.bin";
        }
      ];
      contents = [
        {
          source = "${package}/bin/program";
          target = "/etc/program";
          mode = "0640";
        }
      ];
      raw = [
        {
          source = "${package}/bin/program";
          offset = 8192;
        }
      ];
    }
    // arguments
  );
}
