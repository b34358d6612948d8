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
in
unless
  [
    {
      when = builtins.length (option [ ] (cfg.mirroredBoots or [ ])) > 1;
      message = "boot.loader.generic-extlinux-compatible.mirroredBoots names more than one place, and the image has one; leave it out, ${remedy}";
    }
  ]
  {
    ${bootPlace}.bootFiles = [
      {
        extlinux = {
          inherit system timeout;
          deviceTree = cfg.useGenerationDeviceTree or true;
          dtbName = config.hardware.deviceTree.name or null;
        };
        target = bootDirectory;
      }
    ];
  }
