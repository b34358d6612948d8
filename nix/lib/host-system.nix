# string: the system that the image is for, as "aarch64-linux".
{
  # string: the function's name, for errors.
  function,
  # attribute set: the configuration.
  config,
  # attribute set or null: the nixpkgs of the image.
  pkgs,
}:
let
  # An option that has no value throws.
  configured = builtins.tryEval (config.nixpkgs.hostPlatform.system or null);
  ofConfig = if configured.success then configured.value else null;
  ofPkgs = if pkgs == null then null else pkgs.stdenv.hostPlatform.system;
in
if ofPkgs == null && ofConfig == null then
  throw "nix2image: ${function}: what system the image is for is not known: give `pkgs`, the nixpkgs of the configuration"
else if ofPkgs != null && ofConfig != null && ofPkgs != ofConfig then
  throw "nix2image: ${function}: `pkgs` is for ${ofPkgs} and the configuration for ${ofConfig}; give the `pkgs` of the configuration"
else if ofPkgs != null then
  ofPkgs
else
  ofConfig
