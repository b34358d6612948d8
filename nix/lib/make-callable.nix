# A function in three guises: called directly, given to `callPackage`, and as an option's value
# where the type is "package or path".
#
# `callPackage` fills the formals that are named in `__functionArgs`, and no others: pkgs also has
# attributes such as `time` and `system`, which are not what our arguments of these names mean.
context:
{
  # string: the attribute of `import ./nix { … }` that the function is.
  attribute,
  # attribute set of bool: the formals for `callPackage` to fill, and whether each has a default.
  formals,
  # function: what it does.
  function,
}:
let
  # This directory as a store path, for the file at `outPath` to import.
  functions = builtins.path {
    name = "nix2image-functions";
    path = ../.;
  };

  quote = string: builtins.replaceStrings [ "$" ] [ "\\$" ] (builtins.toJSON string);
  bare = builtins.unsafeDiscardStringContext;
in
{
  __functor = _: function;
  __functionArgs = formals;

  # A file that gives the same function to `import`. What `import` cannot be told stands in it: a
  # file may not refer to a derivation's output, so the builder's context is kept as text.
  outPath = builtins.toFile "${attribute}.nix" ''
    (import ${functions} {
      builder = builtins.appendContext ${quote (bare context.builder)} (
        builtins.fromJSON ${quote (bare (builtins.toJSON (builtins.getContext context.builder)))}
      );
      system = ${if context.system == null then "null" else quote context.system};
    }).${attribute}
  '';
}
