# A function that makes a whole NixOS root: system, channel and shell are arguments by themselves,
# and Nix's database and the registration are there. All other arguments are those of `build`.
context:
{
  # string: the attribute of `import ./nix { … }` that the function is.
  attribute,
  # function: from arguments, `root` among them, to the derivation.
  build,
  # attribute set: what `build` is given unless the caller gives it.
  defaults,
}:
import ./make-callable.nix context {
  inherit attribute;

  # `pkgs.system` is a string such as "x86_64-linux": callPackage is not to fill our `system`.
  formals.pkgs = true;

  function =
    {
      # derivation or store path: the system that boots.
      system,
      # derivation or store path: the channel of root.
      channel ? null,
      # string: the program that /bin/sh is, as "${bash}/bin/sh".
      shell ? null,
      ...
    }@arguments:
    if arguments ? root then
      throw "nix2image: ${attribute}: root is unknown; system, channel and shell are arguments by themselves"
    else
      build (
        { storePaths = [ ]; }
        // defaults
        // removeAttrs arguments [
          "system"
          "channel"
          "shell"
        ]
        // {
          root = { inherit system channel shell; };
        }
      );
}
