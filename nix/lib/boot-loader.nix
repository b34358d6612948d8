# What the boot loader of a configuration needs on the disk, as data: nothing of the system is run,
# and nothing is imported from a derivation. Kernel, initrd, parameters and specialisations are in
# boot.json of the system, which the binary reads.
#
# What cannot be done this way is an error.
{
  # string: the function's name, for errors.
  function,
  # attribute set: the configuration, or as much of it as there is.
  config,
  # attribute set or null: the nixpkgs of the image.
  pkgs,
  # string: the system that boots.
  system,
  # attribute set: what the partition table has; see disk-tables.nix.
  table,
  # attribute set: labels by place: root, esp, boot.
  labels,
  # null or { bios; efi; } of bools: how GRUB boots, whatever the configuration says.
  grubBoots,
}:
let
  loader = config.boot.loader or { };
  timeout = loader.timeout or 5;

  # An option that was removed from NixOS throws when it is looked at.
  option =
    default: value:
    let
      attempt = builtins.tryEval value;
    in
    if attempt.success then attempt.value else default;

  refused = message: throw "nix2image: ${function}: ${message}";
  remedy = "or set installBootLoader = false and install one yourself";

  # list of { when; message; } -> any -> any: the value, unless one holds. The first that does is
  # the last that is looked at.
  unless =
    reasons: value:
    if reasons == [ ] then
      value
    else if (builtins.head reasons).when then
      refused (builtins.head reasons).message
    else
      unless (builtins.tail reasons) value;

  fileSystems = config.fileSystems or null;
  efiSysMountPoint = loader.efi.efiSysMountPoint or "/boot";

  # The place of /boot: of a partition for it, if the configuration mounts that.
  bootPlace =
    if table.boot == "esp" && efiSysMountPoint != "/boot" then
      "root"
    else if table.boot != "root" && fileSystems != null && !(fileSystems ? "/boot") then
      "root"
    else
      table.boot;
  bootDirectory = if bootPlace == "root" then "/boot" else "/";
  inBoot = name: if bootPlace == "root" then "/boot/${name}" else "/${name}";

  parts = {
    inherit
      function
      config
      pkgs
      system
      grubBoots
      timeout
      option
      unless
      refused
      remedy
      table
      labels
      bootPlace
      bootDirectory
      inBoot
      ;
    architecture = import ./efi-architecture.nix {
      inherit function config pkgs;
    };
  };

  loaders = {
    systemd-boot = import ./systemd-boot.nix parts;
    grub = import ./grub.nix parts;
    generic-extlinux-compatible = import ./extlinux.nix parts;
  };
  others = [
    "external"
    "generationsDir"
    "initScript"
    "limine"
    "raspberryPi"
    "refind"
  ];

  isEnabled = name: option false (loader.${name}.enable or false);
  enabled = builtins.filter isEnabled (builtins.attrNames loaders ++ others);
  name = builtins.head enabled;
in
unless
  [
    {
      when = config.boot.lanzaboote.enable or false;
      message = "boot.lanzaboote signs what boots with a key of the machine, which no build has; use systemd-boot for the image and lanzaboote from the first nixos-rebuild on, ${remedy}";
    }
    {
      when = enabled == [ ];
      message = "the configuration enables no boot loader; enable boot.loader.systemd-boot, grub or generic-extlinux-compatible, ${remedy}";
    }
    {
      when = builtins.length enabled > 1;
      message = "the configuration enables more than one boot loader: ${toString enabled}; disable all but one";
    }
    {
      when = !(loaders ? ${name});
      message = "boot.loader.${name} cannot be installed without running it; use systemd-boot, grub or generic-extlinux-compatible, ${remedy}";
    }
    {
      when = (config.boot.initrd.secrets or { }) != { };
      message = "boot.initrd.secrets are files of the machine that installs the boot loader, which no build has; leave them out of the image's configuration, ${remedy}";
    }
    {
      when = !(config.boot.bootspec.enable or true);
      message = "boot.bootspec.enable is false, and the boot loader's entries are made of boot.json; enable it, ${remedy}";
    }
  ]
  (
    {
      root = { };
      esp = { };
      boot = { };
      grub = null;
    }
    // loaders.${name}
  )
