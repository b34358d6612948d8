# Disks to build, on the stand-in nixpkgs: of each partition table, with a boot loader that goes with
# it. The system is described as NixOS describes one; it boots only if `toplevel` does.
{
  # path or string: the static binary.
  builder ? ./disks.nix,
  # string: the build platform.
  system ? "x86_64-linux",
  # string: a static busybox by that name, the shell of the stand-in.
  busybox ? "/usr/bin/busybox",
  # string: the directory with systemd-bootx64.efi.
  systemdBoot ? "/usr/lib/systemd/boot/efi",
  # derivation or store path: the system on the disks; null is one that does not boot.
  toplevel ? null,
}:
let
  pkgs = import ./nixpkgs {
    inherit system busybox;
    overlays = [
      (
        final: _prev:
        let
          grub = import ./nixpkgs/grub.nix {
            inherit system;
            inherit (final) runCommand;
          };
        in
        {
          grub2 = grub;
          grub2_efi = grub;
        }
      )
    ];
  };
  nix2image = import ../../nix { inherit builder system pkgs; };

  described = import ./nixpkgs/system.nix {
    inherit (pkgs) runCommand;
    inherit system;
    version = "26.05.test";
  };
  installed = if toplevel == null then described else toplevel;
  systemd = pkgs.runCommand "systemd" { } ''
    mkdir -p "$out/lib/systemd/boot"
    cp -R ${
      builtins.path {
        name = "systemd-boot";
        path = systemdBoot;
      }
    } "$out/lib/systemd/boot/efi"
  '';

  configurationOf =
    loader: more:
    (import ./configuration.nix system { })
    // {
      system = {
        build.toplevel = installed;
        nixos = {
          version = "26.05.test";
          versionSuffix = ".test";
        };
      };
      systemd.package = systemd;
      environment = { };
      boot.loader = {
        timeout = 1;
      }
      // loader;
    }
    // more;
  loaders = {
    bios.grub = {
      enable = true;
      device = "/dev/vda";
    };
    both.grub = {
      enable = true;
      device = "/dev/vda";
      efiSupport = true;
    };
    systemd-boot.systemd-boot.enable = true;
    xbootldr = {
      efi.efiSysMountPoint = "/efi";
      systemd-boot = {
        enable = true;
        xbootldrMountPoint = "/boot";
      };
    };
    extlinux.generic-extlinux-compatible.enable = true;
  };

  diskOf =
    loader: arguments:
    nix2image.makeDiskImage (
      {
        config = configurationOf loaders.${loader} { };
        copyChannel = false;
        additionalSpace = "16M";
        bootSize = "128M";
        growTo = 1024 * 1024 * 1024;
        contents = [
          {
            source = ./package;
            target = "srv";
            mode = "750";
            user = "alice";
            group = "users";
          }
          {
            source = "${./package}/bin/p*";
            target = "/programs";
          }
        ];
      }
      // arguments
    );
  tableOf = loader: partitionTableType: diskOf loader { inherit partitionTableType; };
in
{
  inherit pkgs;
  toplevel = installed;
  # string -> attribute set -> derivation: with the boot loader of this name, and with arguments.
  of = diskOf;

  none = tableOf "extlinux" "none";
  legacy = tableOf "bios" "legacy";
  legacy-boot = tableOf "bios" "legacy+boot";
  legacy-gpt = tableOf "bios" "legacy+gpt";
  efi = tableOf "systemd-boot" "efi";
  efixbootldr = tableOf "xbootldr" "efixbootldr";
  hybrid = tableOf "both" "hybrid";

  # A size of its own, in each format.
  qcow2 = diskOf "bios" {
    diskSize = 256;
    format = "qcow2";
  };
  raw = diskOf "bios" { diskSize = "256M"; };
  vpc = diskOf "bios" {
    diskSize = 256;
    format = "vpc";
  };

  store = nix2image.makeDiskImage {
    config = configurationOf { } { };
    onlyNixStore = true;
    copyChannel = false;
    partitionTableType = "none";
    additionalSpace = "16M";
  };
  channel = diskOf "bios" { copyChannel = true; };
  # What postVM sees, it may change.
  after = diskOf "bios" {
    postVM = ''
      echo changed | dd of="$diskImage" conv=notrunc bs=1 seek=0
      mv "$diskImage" "$out/renamed.img"
    '';
  };

  amazon =
    boot:
    nix2image.makeAmazonImage {
      config = configurationOf loaders.both {
        image.baseName = "nixos-amazon";
        virtualisation.diskSize = 512;
      };
      copyChannel = false;
      inherit boot;
    };
}
