# What systemd-boot needs; see boot-loader.nix, which says what the arguments are.
{
  config,
  pkgs,
  system,
  timeout,
  option,
  unless,
  remedy,
  table,
  refused,
  architecture,
  grubBoots,
  ...
}:
let
  cfg = config.boot.loader.systemd-boot;
  xbootldrMountPoint = cfg.xbootldrMountPoint or null;

  package =
    config.systemd.package
      or (if pkgs == null then refused "systemd-boot is of systemd: give `pkgs`" else pkgs.systemd);
  lower = {
    X64 = "x64";
    AA64 = "aa64";
  };

  common = {
    inherit system timeout;
    editor = cfg.editor or true;
    consoleMode = cfg.consoleMode or "keep";
  };
  loader = {
    efi = "${package}/lib/systemd/boot/efi/systemd-boot${lower.${architecture}}.efi";
  };

  # FAT does not tell "efi" from "EFI", which is there already.
  onFat =
    name:
    let
      inEfi = builtins.match "[Ee][Ff][Ii]/(.*)" name;
    in
    if inEfi == null then "/${name}" else "/EFI/${builtins.head inEfi}";

  # The builder of NixOS keeps a list of them, as empty files, and removes what is no more.
  extraFile = name: source: [
    {
      inherit source;
      target = onFat name;
    }
    {
      source = builtins.toFile "extra-file" "";
      target = "/EFI/nixos/.extra-files/${name}";
    }
  ];
  entryFile =
    text:
    if builtins.hasContext text then
      pkgs.writeText "entry.conf" text
    else
      builtins.toFile "entry.conf" text;

  extraFiles = cfg.extraFiles or { };
  extraEntries = cfg.extraEntries or { };
  contents =
    builtins.concatMap (name: extraFile name extraFiles.${name}) (builtins.attrNames extraFiles)
    ++ builtins.concatMap (name: extraFile "loader/entries/${name}" (entryFile extraEntries.${name})) (
      builtins.attrNames extraEntries
    );

  bootFiles = attributes: [
    {
      systemdBoot = common // attributes;
      target = "/";
    }
  ];
in
unless
  [
    {
      when = !table.esp;
      message = "systemd-boot stands in an EFI system partition, which ${table.name} has not; use partitionTableType \"efi\", \"efixbootldr\" or \"hybrid\", ${remedy}";
    }
    {
      when = grubBoots != null && grubBoots.bios;
      message = "systemd-boot is for UEFI alone; use boot = \"uefi\", or boot.loader.grub";
    }
    {
      when = table.boot == "boot" && xbootldrMountPoint == null;
      message = "partitionTableType \"efixbootldr\" is for boot.loader.systemd-boot.xbootldrMountPoint = \"/boot\" with boot.loader.efi.efiSysMountPoint = \"/efi\"; set them, or use \"efi\"";
    }
    {
      when = table.boot != "boot" && xbootldrMountPoint != null;
      message = "boot.loader.systemd-boot.xbootldrMountPoint wants a partition that ${table.name} has not; use partitionTableType \"efixbootldr\"";
    }
    {
      when = (cfg.extraInstallCommands or "") != "";
      message = "boot.loader.systemd-boot.extraInstallCommands are to run where the boot loader is installed, and nothing is run here; use extraFiles and extraEntries, ${remedy}";
    }
    {
      when = (cfg.extraEfiDrivers or { }) != { };
      message = "boot.loader.systemd-boot.extraEfiDrivers are not installed here; leave them to the first nixos-rebuild, ${remedy}";
    }
    {
      when = cfg.rebootForBitlocker or false;
      message = "boot.loader.systemd-boot.rebootForBitlocker is not written here; leave it to the first nixos-rebuild, ${remedy}";
    }
    {
      when = option false (cfg.bootCounting.enable or false);
      message = "boot.loader.systemd-boot.bootCounting is not written here; leave it to the first nixos-rebuild, ${remedy}";
    }
  ]
  (
    if table.boot == "boot" then
      {
        esp.bootFiles = bootFiles (loader // { entries = false; });
        boot = {
          bootFiles = bootFiles { loader = false; };
          inherit contents;
        };
      }
    else
      {
        esp = {
          bootFiles = bootFiles loader;
          inherit contents;
        };
      }
  )
