# How large an image is.
{ lib, ... }:
{
  options.virtualisation.diskSize = lib.mkOption {
    type = lib.types.oneOf [
      lib.types.int
      lib.types.str
    ];
    default = "auto";
  };
}
