# attribute set -> attribute set: an attribute set of an argument, as it is, once its names are
# those that there are. Its values are the binary's to check.
{
  # string: the function and the argument, for errors.
  where,
  # list of strings: the attributes that have to be there.
  required ? [ ],
  # list of strings: all attributes that may be there.
  allowed,
}:
attributes:
let
  missing = builtins.filter (name: !attributes ? ${name}) required;
  unknown = builtins.attrNames (removeAttrs attributes allowed);
in
if missing != [ ] then
  throw "nix2image: ${where} has no ${builtins.head missing}"
else if unknown != [ ] then
  throw "nix2image: ${where}.${builtins.head unknown} is unknown; allowed are ${toString allowed}"
else
  attributes
