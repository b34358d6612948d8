# A derivation that runs shell commands on the build platform of a nixpkgs: what no binary of ours
# can stand in for, since it is the user's own text.
{
  # attribute set or null: the nixpkgs.
  pkgs,
  # string: why there has to be one, for the error; it begins with the function and the argument.
  reason,
  # string: what needs none, for the error.
  instead,
  # string: the name of the result.
  name,
  # function: from a package set to the list of packages whose programs the commands may run.
  tools ? (_: [ ]),
  # bool: whether the result holds store paths, and is to keep none of them alive.
  discardReferences ? false,
  # string: the commands.
  commands,
}:
let
  buildPackages = pkgs.buildPackages or pkgs;
  nativeBuildInputs = tools buildPackages;
in
if pkgs == null then
  throw "nix2image: ${reason} and needs a nixpkgs to run in: give `pkgs` to the function or to `import ./nix`, or use ${instead}"
else
  buildPackages.runCommand name (
    (if nativeBuildInputs == [ ] then { } else { inherit nativeBuildInputs; })
    // (
      if discardReferences then
        {
          __structuredAttrs = true;
          unsafeDiscardReferences.out = true;
        }
      else
        { }
    )
  ) commands
