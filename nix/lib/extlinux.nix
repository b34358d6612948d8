# What U-Boot and its like need to find a system by extlinux.conf; see boot-loader.nix, which says
# what the arguments are.
{
  config,
  system,
  timeout,
  option,
  unless,
  remedy,
  bootPlace,
  bootDirectory,
  ...
}:
let
  cfg = config.boot.loader.generic-extlinux-compatible;
  deviceTree = config.hardware.deviceTree.name or null;
in
unless
  [
    {
      when = !(cfg.useGenerationDeviceTree or true);
      message = "boot.loader.generic-extlinux-compatible.useGenerationDeviceTree = false is not written here; ${remedy}";
    }
    {
      when = deviceTree != null;
      message = "hardware.deviceTree.name is not written into extlinux.conf here, which gives the boot loader all device trees to choose from; ${remedy}";
    }
    {
      when = builtins.length (option [ ] (cfg.mirroredBoots or [ ])) > 1;
      message = "boot.loader.generic-extlinux-compatible.mirroredBoots names more than one place, and the image has one; ${remedy}";
    }
  ]
  {
    ${bootPlace}.bootFiles = [
      {
        extlinux = {
          inherit system timeout;
        };
        target = bootDirectory;
      }
    ];
  }
