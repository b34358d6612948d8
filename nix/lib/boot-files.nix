# list -> list: the attribute `bootFiles` (docs/attributes.md), with each path in it as an input of
# the derivation. `where` is what errors call the list.
#
# A loader's `system` is read from the closure, so that it has to be in it; its `efi` is not.
where:
import ./each.nix where (
  where: item:
  let
    asInputs =
      loader:
      loader
      // {
        system = "${loader.system}";
      }
      // (
        if loader.efi or null == null then
          { }
        else
          { efi = import ./as-input.nix "${where}.efi" loader.efi; }
      );
  in
  # `timeout = null` is no absence: the menu waits for ever.
  builtins.mapAttrs (name: value: if name == "target" then value else asInputs value) item
)
