# The derivation of an image: the static binary is its builder, and gets its request as structured
# attributes (docs/attributes.md).
context:
{
  # string: the name of the derivation.
  name,
  # attribute set or null: the nixpkgs that names the build platform where `system` was not given.
  pkgs,
  # string: the function's name, for errors.
  function,
  # list of paths in the store: their closure goes into the image.
  storePaths,
  # bool: whether the image keeps no store path alive.
  unsafeDiscardReferences,
  # attribute set: what else the binary is to know.
  request,
}:
derivation (
  {
    inherit name;
    inherit (context) builder;
    system = import ./build-system.nix context.system pkgs;
    outputs = [ "out" ];
    __structuredAttrs = true;

    exportReferencesGraph.closure = map (import ./as-input.nix "${function}: a storePath") storePaths;
    nix2image = request // {
      version = 1;
      graphs = [ "closure" ];
    };

    # The closure is here already, and an image is large to send.
    preferLocalBuild = true;
  }
  // (if unsafeDiscardReferences then { unsafeDiscardReferences.out = true; } else { })
)
