# string: what UEFI calls the architecture of the image, in capitals: "X64" or "AA64".
{
  # string: the function's name, for errors.
  function,
  # attribute set: the configuration.
  config,
  # attribute set or null: the nixpkgs of the image.
  pkgs,
}:
let
  system = import ./host-system.nix { inherit function config pkgs; };
  architectures = {
    x86_64-linux = "X64";
    aarch64-linux = "AA64";
  };
in
architectures.${system}
  or (throw "nix2image: ${function}: no boot loader for UEFI is known for ${system}; there are those of ${toString (builtins.attrNames architectures)}")
